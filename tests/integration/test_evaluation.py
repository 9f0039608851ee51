"""`flask --app entry evaluate` and `calibrate`, with the service's own recognition."""

import base64
import json
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from testbed.crowd import THRESHOLD, faces
from testbed.photos import FACES, WITHOUT_FACE
from tests.support.commands import Done, run

PEOPLE = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of eight people, with a photo and a darker one."""
    folder = tmp_path_factory.mktemp("photos")
    for number, face in enumerate(faces(PEOPLE, apart=3 * THRESHOLD)):
        (folder / f"person{number}").mkdir()
        photo = Image.open(BytesIO(base64.b64decode(face.picture)))
        photo.save(folder / f"person{number}" / "1.png")
        ImageEnhance.Brightness(photo).enhance(0.97).save(folder / f"person{number}" / "2.png")
    return folder


def command(*words: str | Path, **variables: str) -> Done:
    strict = {"LOGIN_MATCH_THRESHOLD": str(THRESHOLD)}
    return run(*map(str, words), **strict | variables)


def figures(*words: str | Path, **variables: str) -> dict[str, Any]:
    """Return the JSON that a command prints."""
    done = command(*words, "--json", **variables)
    assert done.returncode == 0, done.output
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_people_who_can_be_told_apart_are(photos: Path) -> None:
    found = figures("calibrate", photos)
    assert found["people"] == {"to_enrol": PEOPLE, "enrolled": PEOPLE, "not_enrolled": 0}
    (search,) = found["identification"]
    assert search["enrolled"] == PEOPLE
    assert (search["at_alpha"]["fpir"]["count"], search["at_alpha"]["fpir"]["of"]) == (0, PEOPLE)
    assert (search["at_alpha"]["fnir"]["count"], search["at_alpha"]["fnir"]["of"]) == (0, PEOPLE)
    assert found["verification"]["non_mated"] == PEOPLE * (PEOPLE - 1)
    assert found["recommendation"]["alpha"] is None
    assert found["time"]["median_ms"] > 0


def test_pairs_and_a_manifest_agree_with_folders(photos: Path, tmp_path: Path) -> None:
    same = [f"person{n}/1.png,person{n}/2.png,1" for n in range(PEOPLE)]
    different = [f"person{n}/1.png,person{(n + 1) % PEOPLE}/2.png,0" for n in range(PEOPLE)]
    pairs = csv(tmp_path, "img1,img2,same", *same, *different)
    done = command("evaluate", pairs, "--photos", photos, "--report", tmp_path / "pairs.html")
    assert done.returncode == 0, done.output
    compared = json.loads((tmp_path / "pairs.json").read_text())["verification"]
    assert compared["at_alpha"]["accuracy"]["count"] == 2 * PEOPLE
    lines = [f"enrol,{n},person{n}/1.png" for n in range(PEOPLE - 2)]
    lines += [f"probe,{n},person{n}/2.png" for n in range(PEOPLE)]
    manifest = csv(tmp_path, "role,person,img", *lines)
    found = figures("evaluate", manifest, "--photos", photos)
    (search,) = found["identification"]
    assert search["at_alpha"]["fnir"]["of"] == PEOPLE - 2
    assert search["at_alpha"]["fpir"]["of"] == 2  # the manifest's strangers alone
    assert compared["distances"]["mated"]["p50"] < THRESHOLD < search["at_alpha"]["alpha"] + 0.01


def test_photos_that_cannot_be_used_are_counted_by_reason(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(WITHOUT_FACE[0].read_bytes())
    (tmp_path / "cup.png").write_bytes(WITHOUT_FACE[1].read_bytes())
    (tmp_path / "text.jpg").write_text("no picture")
    lines = [f"{role},{n},{photos}/person{n}/{k}.png" for n in (0, 1) for k, role in ROLES.items()]
    lines += ["enrol,cat,cat.png", "probe,cat,text.jpg", "probe,0,cup.png"]
    found = figures("evaluate", csv(tmp_path, "role,person,img", *lines))
    assert found["people"] == {"to_enrol": 3, "enrolled": 2, "not_enrolled": 1}
    assert found["not_used"]["enrolment"]["reasons"] == {"no_face": 1}
    assert found["not_used"]["probes"]["reasons"] == {"no_face": 1, "not_an_image": 1}
    assert found["identification"][0]["at_alpha"]["fnir"]["count"] == 1  # the refused one


ROLES = {1: "enrol", 2: "probe"}


def test_the_report_is_one_private_page_that_needs_no_network(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = command("calibrate", photos, "--report", file, "--people", "1000")
    assert done.returncode == 0, done.output
    assert f"The report is {file}, its figures are in {tmp_path}/report.json." in done.stdout
    page = file.read_text()
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"') == 2
    assert "<script" not in page
    assert "person3/2.png" in page
    assert "data:image/jpeg;base64," in page
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads((tmp_path / "report.json").read_text())["source"] == photos.name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_without_the_contact_sheet_nobody_is_named_or_shown(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = command("calibrate", photos, "--report", file, "--no-contact-sheet")
    assert done.returncode == 0, done.output
    for text in (file.read_text(), file.with_suffix(".json").read_text()):
        assert "person3" not in text
        assert "data:image" not in text


def test_names_are_escaped(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)"
    folder.symlink_to(photos)
    file = tmp_path / "report.html"
    assert command("calibrate", folder, "--report", file).returncode == 0
    assert "<script" not in file.read_text()


def test_a_name_that_is_not_utf_8_is_shown_all_the_same(photos: Path, tmp_path: Path) -> None:
    for person in photos.iterdir():
        (tmp_path / person.name).symlink_to(person)
    (tmp_path / "person1").rename(tmp_path / "caf\udce9")
    report = tmp_path / "report.html"
    done = command("calibrate", tmp_path, "--report", report)
    assert done.returncode == 0, done.output
    assert "caf\\udce9/2.png" in report.read_text()
    hardest = json.loads(report.with_suffix(".json").read_text())["hardest"]
    assert any("caf\udce9/2.png" in each["photos"] for each in hardest["mated"])


def test_no_store_is_made_or_changed(photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "employees.db"
    figures("calibrate", photos, SQLITE_PATH=str(store))
    assert not store.exists()
    store.write_bytes(b"whatever")
    figures("calibrate", photos, SQLITE_PATH=str(store))
    assert store.read_bytes() == b"whatever"
    assert list(tmp_path.iterdir()) == [store]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["evaluate", "none.csv"], 1, "Error: none.csv: No such file or directory\n"),
        (["calibrate", "none"], 1, "Error: none: No such file or directory\n"),
        (["calibrate", ".", "--report", "report.pdf"], 2, "must end in .html"),
        (["calibrate", ".", "--report", "none/report.html"], 2, "there is no folder none"),
    ],
)
def test_mistakes_get_a_sentence(words: list[str], code: int, sentence: str) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_photos_of_which_none_can_be_used_are_an_error(tmp_path: Path) -> None:
    for photo in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (tmp_path / photo).parent.mkdir(exist_ok=True)
        (tmp_path / photo).write_text("no picture")
    done = command("calibrate", tmp_path, "--report", tmp_path / "report.html")
    assert done.returncode == 1
    assert "Error: no photo can be used. Photos refused: not_an_image: 2." in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_model_that_is_not_there_is_named(photos: Path) -> None:
    done = command("calibrate", photos, FACE_MODEL="facenet")
    assert done.returncode == 1
    assert "FACE_MODEL is facenet: set FACENET_WEIGHTS" in done.stderr


class TestDevelopmentSet:
    pytestmark = pytest.mark.faces

    def test_nobody_is_taken_for_another(self) -> None:
        found = figures("calibrate", FACES / "people", LOGIN_MATCH_THRESHOLD="0.8")
        assert found["people"]["not_enrolled"] == 0
        at_alpha = found["identification"][-1]["at_alpha"]
        assert at_alpha["mated_taken_for_another"]["count"] == 0
        assert at_alpha["fnir"]["count"] <= 1
