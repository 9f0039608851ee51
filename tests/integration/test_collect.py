"""People and photos of other face services are collected, so that `enrol` takes them."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.sqlite.store import SqliteStore
from tests.support import commands
from tests.support.compreface import EILEEN, GRACE, KEY, CompreFaceServer, collect, image_id, rows


def known(folder: Path, file: Path, *options: str) -> commands.Done:
    return commands.run("collect", "face-recognition", str(folder), str(file), *options)


def enrolled(file: Path, folder: Path) -> list[tuple[int, str, str, int]]:
    """Enrol everybody; return their ids, names, surnames and numbers of vectors."""
    path = folder / "employees.db"
    words = ("enrol", str(file), "--report", str(folder / "refused.csv"))
    done = commands.run(*words, SQLITE_PATH=str(path))
    assert done.returncode == 0, done.output
    with closing(SqliteStore(path)) as store:
        return [
            (each.employee_id, each.name, each.surname, len(each.vectors))
            for each in store.read_all()
        ]


def test_from_compreface_into_the_store(
    compreface: CompreFaceServer, folder: Path, tmp_path: Path
) -> None:
    compreface.add(1, "17_Grace_Hopper", GRACE)
    compreface.add(2, "Eileen Marie Collins", EILEEN)
    done = collect(compreface, folder, "--first-id", "100")
    assert done.returncode == 0, done.output
    assert "2 people and 2 photos are in" in done.stdout
    assert KEY not in done.output
    assert (folder / image_id(1)).read_bytes() == GRACE
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    assert enrolled(folder / "people.csv", tmp_path) == [
        (17, "Grace", "Hopper", 1),
        (100, "Eileen", "Marie Collins", 1),
    ]


def test_from_face_recognition_into_the_store(tmp_path: Path) -> None:
    folder, file = tmp_path / "known people", tmp_path / "lists/people.csv"
    (folder / "Eileen Collins").mkdir(parents=True)
    (folder / "Nobody Here").mkdir()
    (folder / "17 Grace Hopper.jpg").write_bytes(GRACE)
    (folder / "Eileen Collins/a.png").write_bytes(EILEEN)
    (folder / ".DS_Store").touch()
    done = known(folder, file)
    assert done.returncode == 1
    assert "Left out: 'Nobody Here': there is no photo" in done.stderr
    assert "2 people and 2 photos are in" in done.stdout
    assert rows(file) == [
        ("17", "Grace", "Hopper", "../known people/17 Grace Hopper.jpg"),
        ("1", "Eileen", "Collins", "../known people/Eileen Collins/a.png"),
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    assert enrolled(file, tmp_path) == [(1, "Eileen", "Collins", 1), (17, "Grace", "Hopper", 1)]


def test_a_list_within_the_folder_is_nobody(tmp_path: Path) -> None:
    for name in ("Grace Hopper.jpg", "Grace Hopper.png"):
        (tmp_path / name).touch()
    for _ in range(2):
        assert known(tmp_path, tmp_path / "people.csv").returncode == 0
    photos = ["Grace Hopper.jpg", "Grace Hopper.png"]
    assert rows(tmp_path / "people.csv") == [("1", "Grace", "Hopper", each) for each in photos]


def test_file_names_that_no_list_can_hold(tmp_path: Path) -> None:
    folder, file = tmp_path / "known", tmp_path / "people.csv"
    (folder / "Ada").mkdir(parents=True)
    for name in (b"a.jpg", b"\xff.jpg", b"b.jpg ", b'"c, d".jpg', b"e\r\nf.jpg"):
        (folder / "Ada" / os.fsdecode(name)).touch()
    done = known(folder, file)
    assert done.returncode == 1
    assert done.stderr.count("rename it: a CSV file cannot hold this path") == 2
    assert [row[3] for row in rows(file)] == [
        f"known/Ada/{name}" for name in ('"c, d".jpg', "a.jpg", "e\r\nf.jpg")
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("17_Grace_Hopper", ("17", "Grace", "Hopper")),
        ("17 Grace Murray Hopper", ("17", "Grace", "Murray Hopper")),
        ("17-Grace", ("17", "Grace", "")),
        ("17", ("17", "17", "")),
        ("17 18", ("17", "18", "")),
        ("0", ("0", "0", "")),
        ("007 Bond", ("5", "007", "Bond")),
        ("Grace", ("5", "Grace", "")),
        ("Grace_Hopper_2", ("5", "Grace", "Hopper 2")),
        ("  Grace   Hopper ", ("5", "Grace", "Hopper")),
        ('Grace "Amazing", Hopper', ("5", "Grace", '"Amazing", Hopper')),
        (
            "\u05d3\u05e0\u05d4 \u05db\u05d4\u05df",
            ("5", "\u05d3\u05e0\u05d4", "\u05db\u05d4\u05df"),
        ),
        ("a" * 200, ("5", "a" * 200, "")),
    ],
)
def test_subjects(
    compreface: CompreFaceServer, folder: Path, subject: str, expected: tuple[str, str, str]
) -> None:
    photo = compreface.add(1, subject, GRACE)
    assert collect(compreface, folder, "--first-id", "5").returncode == 0
    assert rows(folder / "people.csv") == [(*expected, photo)]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("", "name: is empty"),
        ("__", "name: is empty"),
        ("17_ ", "name: is empty"),
        ("Grace\nHopper,18,x", "name: holds a control character or a line break"),
        ("17_Grace\r\nHopper", "holds a control character or a line break"),
        ("Grace\u202eHopper", "name: holds a character that changes the direction of text"),
        ("Grace " + "H" * 300, "surname: has more than 200 characters"),
        ("99999999999999999999_Grace", "id: must be a whole number from 0 to "),
        ("=cmd()", "a spreadsheet would take the name for a formula"),
        ("17_Grace_@SUM(A1)", "a spreadsheet would take the name for a formula"),
    ],
)
def test_subjects_that_cannot_be_enrolled(
    compreface: CompreFaceServer, folder: Path, subject: str, reason: str
) -> None:
    compreface.add(1, subject, EILEEN)
    photo = compreface.add(2, "Grace", GRACE)
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert f"Left out: {subject!r}: " in done.stderr
    assert reason in done.stderr
    assert rows(folder / "people.csv") == [("1", "Grace", "", photo)]
    assert compreface.photos_asked == [photo]


def test_two_people_with_one_id(compreface: CompreFaceServer, folder: Path) -> None:
    compreface.add(1, "17_Grace_Hopper", GRACE)
    compreface.add(2, "17 Eileen", EILEEN)
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert "'17 Eileen' and '17_Grace_Hopper' would both have the id 17" in done.output
    assert not folder.exists()


def test_an_id_that_is_given_stays(compreface: CompreFaceServer, folder: Path) -> None:
    """The second run finds people before, after and between them, and what was edited."""
    file = folder / "people.csv"
    grace, mary = compreface.add(1, "Grace", GRACE), compreface.add(2, "Mary", EILEEN)
    assert collect(compreface, folder).returncode == 0
    assert rows(file) == [("1", "Grace", "", grace), ("2", "Mary", "", mary)]
    file.write_text(file.read_text().replace(f"Mary,,{mary},", f"Mary,Shelley,{mary},navy"))
    ada, zoe = compreface.add(3, "Ada", EILEEN), compreface.add(4, "3 Zoe", EILEEN)
    compreface.faces[grace] = "Rear Admiral Grace"
    more = compreface.add(5, "Rear Admiral Grace", GRACE)
    assert collect(compreface, folder).returncode == 0
    expected = [
        ("3", "Zoe", "", zoe),
        ("4", "Ada", "", ada),
        ("2", "Mary", "Shelley", mary),
        ("1", "Grace", "", grace),
        ("1", "Grace", "", more),
    ]
    assert rows(file) == expected
    assert f"2,Mary,Shelley,{mary},navy" in file.read_text()
    compreface.add(6, "1 Someone", EILEEN)
    done = collect(compreface, folder)
    assert "'1 Someone' and 'Rear Admiral Grace' would both have the id 1" in done.output
    assert rows(file) == expected


def test_who_is_removed_there(compreface: CompreFaceServer, folder: Path) -> None:
    grace, mary = compreface.add(1, "Grace", GRACE), compreface.add(2, "Mary", EILEEN)
    collect(compreface, folder)
    del compreface.faces[mary]
    eve = compreface.add(3, "Eve", EILEEN)
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert f"Left out: '2 {mary}': it is gone, so its row was removed" in done.stderr
    assert rows(folder / "people.csv") == [("3", "Eve", "", eve), ("1", "Grace", "", grace)]


def test_a_list_that_is_something_else_stays(compreface: CompreFaceServer, folder: Path) -> None:
    compreface.add(1, "Grace", GRACE)
    folder.mkdir()
    (folder / "people.csv").write_text("something else")
    done = collect(compreface, folder)
    assert done.returncode == 1
    assert "people.csv: the first line must be" in done.output
    assert [each.name for each in folder.iterdir()] == ["people.csv"]


def test_nobody_is_there(compreface: CompreFaceServer, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    for done in (collect(compreface, folder), known(folder, tmp_path / "people.csv")):
        assert done.returncode == 1
        assert "There is no photo to enrol" in done.output
    assert list(tmp_path.rglob("*")) == [folder]
