"""Photos come from CompreFace whole and once, and its key goes nowhere else."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.serving import ROOT, environment
from tests.support import commands
from tests.support.compreface import (
    EILEEN,
    FACES,
    GRACE,
    KEY,
    CompreFaceServer,
    collect,
    image_id,
    rows,
    words,
)


def test_what_is_here_is_not_fetched_again(compreface: CompreFaceServer, folder: Path) -> None:
    half, whole = compreface.add(1, "Grace", GRACE), compreface.add(2, "Grace", EILEEN)
    folder.mkdir()
    (folder / f".{half}.part").write_bytes(GRACE[:1000])
    (folder / whole).write_bytes(EILEEN)
    for _ in range(2):
        assert collect(compreface, folder).returncode == 0
    assert compreface.photos_asked == [half]
    assert sorted(each.name for each in folder.iterdir()) == [half, whole, "people.csv"]
    assert (folder / half).read_bytes() == GRACE
    assert (folder / half).stat().st_mode & 0o777 == 0o600


def test_a_collection_that_is_killed_continues(compreface: CompreFaceServer, folder: Path) -> None:
    photos = [compreface.add(number, f"P{number:03}", GRACE) for number in range(80)]
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "entry", *words(compreface, folder)],
        cwd=ROOT,
        env=environment(COMPREFACE_API_KEY=KEY),
    )
    deadline = time.monotonic() + 60
    while len(compreface.photos_asked) < 20:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()
    here = {each.name for each in folder.iterdir() if not each.name.startswith(".")}
    assert 19 <= len(here) < 80
    compreface.asked.clear()
    assert collect(compreface, folder).returncode == 0
    assert set(compreface.photos_asked) == set(photos) - here
    assert len(compreface.photos_asked) == 80 - len(here)
    assert {(folder / photo).read_bytes() for photo in photos} == {GRACE}
    assert [row[3] for row in rows(folder / "people.csv")] == photos


@pytest.mark.parametrize("times", [1, 2])
def test_pages_that_shift(compreface: CompreFaceServer, folder: Path, times: int) -> None:
    """Someone is enrolled first and someone is removed while the pages are read."""
    compreface.page_size = 2
    for number in range(10, 15):
        compreface.add(number, f"P{number}", GRACE)
    left = [lambda: compreface.faces.pop(image_id(10)), lambda: enrol_first(compreface)][:times]
    compreface.after_page = lambda: left and left.pop()()
    assert collect(compreface, folder).returncode == 0
    found = [row[3] for row in rows(folder / "people.csv")]
    assert sorted(found) == sorted(compreface.faces)


def enrol_first(compreface: CompreFaceServer) -> None:
    compreface.faces = {image_id(1): "New"} | compreface.faces
    compreface.photos[image_id(1)] = EILEEN


def test_pages_that_never_stand_still(compreface: CompreFaceServer, folder: Path) -> None:
    compreface.page_size = 2
    for number in range(100, 105):
        compreface.add(number, "Grace", GRACE)
    numbers = iter(range(100))
    compreface.after_page = lambda: compreface.add(next(numbers), "Grace", GRACE)
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert "because they change: run this again when nobody enrols there" in done.output
    assert not folder.exists()


def test_photos_that_cannot_be_had(compreface: CompreFaceServer, folder: Path) -> None:
    photo = compreface.add(1, "Grace", GRACE)
    failures = {
        2: "CompreFace does not keep it: save_images_to_db was off",
        3: "CompreFace answered 404",
        4: "CompreFace answered 500",
        5: "its answer is larger than 20 MB",
        6: "its answer broke off",
    }
    for number in failures:
        compreface.add(number, "Grace")
    compreface.fail(3, 404, b'{"message": "not found", "code": 11}')
    compreface.fail(4, 500)
    compreface.fail(5, 200, b"a" * 20_000_001)
    compreface.fail(6, 200, GRACE[:1000], **{"Content-Length": str(len(GRACE))})
    done = collect(compreface, folder)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    for (number, reason), line in zip(failures.items(), lines, strict=True):
        assert line.startswith(f"Left out: '1 Grace {folder / image_id(number)}': ")
        assert reason in line
    assert "1 people and 1 photos are in" in done.stdout
    assert rows(folder / "people.csv") == [("1", "Grace", "", photo)]
    assert sorted(each.name for each in folder.iterdir()) == [photo, "people.csv"]
    compreface.wrong.clear()
    compreface.photos[image_id(6)] = EILEEN
    assert collect(compreface, folder).returncode == 1
    assert [row[3] for row in rows(folder / "people.csv")] == [photo, image_id(6)]


def test_a_service_that_saved_no_photos(compreface: CompreFaceServer, folder: Path) -> None:
    compreface.add(1, "Grace")
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert "save_images_to_db was off" in done.stderr
    assert "There is no photo to enrol" in done.stderr
    assert not folder.exists()


def test_ids_of_photos_are_no_paths(
    compreface: CompreFaceServer, folder: Path, tmp_path: Path
) -> None:
    photo = compreface.add(0xABC, "Grace", GRACE)
    hostile = ["../../x", "/etc/x", "x\n", photo + "/../x", "people.csv", ""]
    compreface.faces |= dict.fromkeys(hostile, "Eve")
    compreface.photos |= dict.fromkeys(hostile, EILEEN)
    done = collect(compreface, folder)
    assert done.returncode == 1, done.output
    for name in hostile:
        assert f"Left out: 'Eve': the image_id {name!r} is not a UUID" in done.stderr
    assert rows(folder / "people.csv") == [("1", "Grace", "", photo)]
    assert compreface.photos_asked == [photo]
    assert sorted(each.name for each in tmp_path.rglob("*")) == [photo, "people", "people.csv"]


@pytest.mark.parametrize("wrong", [(401, b""), (403, b"no"), (404, None)])
def test_a_wrong_key(
    compreface: CompreFaceServer, folder: Path, wrong: tuple[int, bytes | None]
) -> None:
    status, content = wrong
    compreface.add(1, "Grace", GRACE)
    if content is not None:
        compreface.wrong[FACES] = status, {}, content
    done = collect(compreface, folder, key="not-the-key")
    assert done.returncode == 1
    assert f"{compreface.address} answered {status}, and no list of faces: " in done.output
    assert "the API key of one of its recognition services" in done.output
    assert "not-the-key" not in done.output
    assert not folder.exists()


def test_the_key_is_in_a_file_or_a_variable(
    compreface: CompreFaceServer, folder: Path, tmp_path: Path
) -> None:
    compreface.add(1, "Grace", GRACE)
    file = tmp_path / "key"
    for content in ("", "two keys\n", "gr\xfcn", f"{KEY}\nX-Other: 1"):
        file.write_text(content, encoding="latin-1")
        done = collect(compreface, folder, "--key-file", str(file))
        assert done.returncode == 1
        assert f"{file} must hold the API key" in done.output
        assert KEY not in done.output
        done = collect(compreface, folder, key=content)
        assert "COMPREFACE_API_KEY must hold the API key" in done.output
        assert KEY not in done.output
    assert not compreface.keys
    file.write_text(f"{KEY}\n")
    assert collect(compreface, folder, "--key-file", str(file), key="another").returncode == 0
    assert compreface.keys == {KEY}


@pytest.mark.parametrize("path", [FACES, f"{FACES}/{image_id(1)}/img"])
def test_the_key_follows_no_redirect(compreface: CompreFaceServer, folder: Path, path: str) -> None:
    compreface.add(1, "Grace", GRACE)
    with CompreFaceServer() as other:
        other.add(1, "Grace", GRACE)
        compreface.wrong[path] = 302, {"Location": other.address + path}, b""
        done = collect(compreface, folder)
        assert done.returncode == 1
        assert f"{compreface.address} redirects to {other.address}" in done.output
        assert not other.asked
    assert not folder.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<p>Welcome", "answered 200, and no list of faces"),
        (b"[]", "answered 200, and no list of faces"),
        (b'{"faces": [{"image_id": 7, "subject": 8}]}', "answered 200, and no list of faces"),
        (b"a" * 20_000_001, "its answer is larger than 20 MB"),
    ],
)
def test_what_is_not_compreface(
    compreface: CompreFaceServer, folder: Path, content: bytes, reason: str
) -> None:
    compreface.wrong[FACES] = 200, {}, content
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert reason in done.output
    assert not folder.exists()


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("localhost:8000", "No connection adapters"),
        ("compreface", "No scheme supplied"),
        ("http://[::1", "Failed to parse"),
        ("ftp://localhost", "No connection adapters"),
    ],
)
def test_addresses_where_nothing_is(folder: Path, address: str, cause: str) -> None:
    words = ("collect", "compreface", address, str(folder))
    done = commands.run(*words, COMPREFACE_API_KEY=KEY)
    assert done.returncode == 1
    assert f"Error: {address} cannot be reached: " in done.output
    assert cause in done.output
    assert not folder.exists()


def test_a_service_that_goes_away(compreface: CompreFaceServer, folder: Path) -> None:
    first = compreface.add(1, "Grace", GRACE)
    compreface.add(2, "Grace", GRACE)
    compreface.leave_after = first
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert "cannot be reached" in done.output
    assert "if it was away, run this again" in done.output
    assert [each.name for each in folder.iterdir()] == [first]
