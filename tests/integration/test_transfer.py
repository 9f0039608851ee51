"""Employees go from one store into another, and are the same there."""

import base64
import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from app.gallery.memory_gallery import MemoryGallery
from app.storage import Employee, EmployeeStore, Profile, Sample
from app.storage.mongodb.store import MongoStore
from app.storage.sqlite.store import SqliteStore
from testbed.employees import face_model, someone
from testbed.mongod import Mongod
from testbed.serving import only
from tests.support import commands
from tests.support.commands import Done

DIMENSION = 128
Run = Callable[..., Done]


def person(employee_id: int, seed: int = 0) -> Employee:
    """Someone with all that can be stored."""
    generator = np.random.default_rng([employee_id, seed])
    hashes = tuple(generator.bytes(64) for _ in range(3))
    return replace(
        someone(employee_id, vectors=2, dimension=DIMENSION, seed=seed),
        name="Zoë «\u200eא»",
        photo_hashes=hashes,
        samples=(Sample(1_700_000_000, 2, "fair"), Sample(None, 1)),
        profile=Profile(f"HR-{employee_id}", {"a.b": [1, None]}, ("x", "y"), 5, 6),
    )


def whole(store: EmployeeStore) -> list[object]:
    """All that is stored, comparable bit by bit."""
    names = [name for name in Employee.__slots__ if name != "vectors"]
    return [
        [each.vectors.tobytes(), *(getattr(each, name) for name in names)]
        for each in store.read_all()
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An export of twenty employees."""
    with closing(SqliteStore(tmp_path / "from.db")) as store:
        for number in range(20):
            store.add(person(number))
    file = tmp_path / "export"
    done = commands.run("export", str(file), SQLITE_PATH=str(tmp_path / "from.db"))
    assert "20 employees of sqlite:" in done.stdout, done.output
    assert file.stat().st_mode & 0o777 == 0o600
    return file


@pytest.fixture
def load(file: Path, tmp_path: Path) -> Run:
    """Runs `import` into an SQLite file, by default of this export."""
    path = str(tmp_path / "to.db")
    return lambda *words: commands.run("import", *(words or [str(file)]), SQLITE_PATH=path)


def results(done: Done) -> list[str]:
    return [json.loads(line)["result"] for line in done.stdout.splitlines()]


@pytest.mark.mongod
def test_to_mongodb_and_back(file: Path, tmp_path: Path, mongod: Mongod, database: str) -> None:
    url = f"{mongod.address}/{database}"
    key = tmp_path / "key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    back, sealed = tmp_path / "back.db", str(tmp_path / "sealed")
    for words, store in (
        (("import", str(file)), {"MONGO_DB_URL": url}),
        (("export", sealed, "--key-file", str(key)), {"MONGO_DB_URL": url}),
        (("import", sealed, "--key-file", str(key)), {"SQLITE_PATH": str(back)}),
    ):
        done = commands.run(*words, **store)
        assert done.returncode == 0, done.output
    assert b"employee_id" not in Path(sealed).read_bytes()
    probes = np.random.default_rng(1).normal(size=(500, DIMENSION)).astype(np.float32)
    answers, stored = [], []
    for store in (
        SqliteStore(tmp_path / "from.db"),
        MongoStore(only(mongo_db_url=url, mongo_db_timeout_s=20)),
        SqliteStore(back),
    ):
        with closing(store):
            stored.append(whole(store))
            gallery = MemoryGallery(store, face_model(dimension=DIMENSION))
            gallery.load()
            found = [gallery.nearest_people(probe / np.linalg.norm(probe)) for probe in probes]
            answers.append([[(who.employee_id, far) for who, far in each] for each in found])
    assert len(stored[0]) == 20
    assert stored[0] == stored[1] == stored[2]
    assert answers[0] == answers[1] == answers[2]


def test_importing_again_changes_nothing(load: Run, tmp_path: Path) -> None:
    assert results(load()) == ["created"] * 20
    with closing(SqliteStore(tmp_path / "to.db")) as store:
        before = whole(store), store.position()
        assert results(load()) == ["unchanged"] * 20
        assert (whole(store), store.position()) == before


def test_an_export_of_a_release_that_knew_no_quality(load: Run, file: Path, tmp_path: Path) -> None:
    *lines, _ = file.read_bytes().splitlines(keepends=True)
    older = b"".join(lines).replace(b',"quality":"fair"', b"").replace(b',"quality":null', b"")
    end = {"employees": len(lines) - 1, "sha256": sha256(older).hexdigest()}
    file.write_bytes(older + json.dumps(end).encode() + b"\n")
    assert b"quality" not in file.read_bytes()
    assert results(load(str(file))) == ["created"] * 20
    with closing(SqliteStore(tmp_path / "to.db")) as store:
        assert {sample.quality for each in store.read_all() for sample in each.samples} == {None}


@pytest.mark.parametrize(
    ("existing", "result", "code"),
    [("skip", "skipped", 0), ("replace", "replaced", 0), ("fail", "refused", 1)],
)
def test_people_who_are_enrolled_already(
    load: Run, file: Path, tmp_path: Path, existing: str, result: str, code: int
) -> None:
    other = person(3, seed=1)
    with closing(SqliteStore(tmp_path / "to.db")) as store:
        store.add(other)
        done = load(str(file), "--existing", existing)
        assert (results(done)[3], results(done).count("created")) == (result, 19)
        assert done.returncode == code
        kept = store.get([3])[0].enrolment_id == other.enrolment_id
        assert kept == (existing != "replace")


def test_an_external_id_that_is_taken(load: Run, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "to.db")) as store:
        store.add(replace(person(100), profile=Profile("HR-3")))
    done = load()
    assert '"code": "external_id_taken"' in done.stdout.splitlines()[3]
    assert results(done).count("created") == 19


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[: len(text) // 2], "its end is missing"),
        (lambda text: "".join(text.splitlines(keepends=True)[:-1]), "its end is missing"),
        (lambda text: text.replace('"HR-5"', '"HR-6"'), "its checksum is another one"),
        (lambda text: text.replace('"dimension":128', '"dimension":512'), "choose the same"),
        (lambda text: text.replace('"version":1', '"version":2'), "version: must be 1"),
        (lambda text: "", "it does not begin like an export"),
    ],
)
def test_what_is_not_whole_is_refused(
    load: Run, file: Path, tmp_path: Path, change: Callable[[str], str], reason: str
) -> None:
    file.write_text(change(file.read_text()))
    done = load()
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Nothing was imported" in done.stderr
    with closing(SqliteStore(tmp_path / "to.db")) as store:
        assert not store.count()


def test_keys_of_files(load: Run, file: Path, tmp_path: Path) -> None:
    key, other, sealed = tmp_path / "key", tmp_path / "other", tmp_path / "sealed"
    for each in (key, other):
        each.write_text(base64.b64encode(os.urandom(32)).decode())
    from_db = str(tmp_path / "from.db")
    words = ("export", str(sealed), "--key-file")
    assert commands.run(*words, str(key), SQLITE_PATH=from_db).returncode == 0
    assert "exists already" in commands.run(*words, str(key), SQLITE_PATH=from_db).stderr
    assert "--key-file" in load(str(sealed)).stderr
    assert "with another key" in load(str(sealed), "--key-file", str(other)).stderr
    data = sealed.read_bytes()
    for changed in (data[:-1], data[:500], data[:500] + b"\0" + data[501:], data + b"\0"):
        sealed.write_bytes(changed)
        assert "was changed or cut off" in load(str(sealed), "--key-file", str(key)).stderr
    sealed.write_bytes(data)
    assert results(load(str(sealed), "--key-file", str(key))) == ["created"] * 20
    other.write_text("short")
    assert "must hold 32 bytes in base64" in load(str(sealed), "--key-file", str(other)).stderr
