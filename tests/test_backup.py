"""`flask --app entry backup` and `restore`, while services use the store."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from click.testing import Result

from app.commands import create_command_app
from app.storage import ChangesForgotten, UsedProbe
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from tests import sent_photos as photos
from tests.employees import VECTOR_KEY, everything, fill, ids, someone
from tests.features import random_vector
from tests.serving import ROOT, RunningService, environment
from tests.test_sqlite_durability import FIRST_SCHEMA

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}


def command(name: str, file: Path, path: Path, **variables: str) -> Result:
    """The finished command, in this process."""
    settings = {"SQLITE_PATH": str(path), "MONGO_DB_URL": "", "VECTOR_KEYS": ""} | variables
    runner = create_command_app().test_cli_runner()
    return runner.invoke(args=[name, str(file)], env=settings)


def done(name: str, file: Path, path: Path, **variables: str) -> str:
    """What the command said; it must have succeeded."""
    ran = command(name, file, path, **variables)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def refused(name: str, file: Path, path: Path, **variables: str) -> str:
    """Why the command changed nothing."""
    ran = command(name, file, path, **variables)
    assert isinstance(ran.exception, SystemExit)
    assert ran.exit_code == 1
    return ran.stderr


@contextmanager
def enrolling(service: RunningService) -> Iterator[list[int]]:
    """Four clients enrol all the time; the list is of those who are acknowledged."""
    over, acknowledged = Event(), list[int]()

    def enrol(client: int) -> None:
        number = client
        while not over.is_set():
            body = {"name": "x", "surname": "y", "img_features": [random_vector(number)]}
            answer = service.call("POST", f"/api/store/{1_000 + number}", json=body)
            assert answer.status_code == 200, answer.text
            acknowledged.append(1_000 + number)
            number += 4

    with ThreadPoolExecutor(4) as clients:
        running = [clients.submit(enrol, client) for client in range(4)]
        try:
            yield acknowledged
        finally:
            over.set()
        for each in running:
            each.result()


def test_a_backup_under_load_holds_everyone_acknowledged_before(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(path)):
        fill(path, (someone(number, dimension=128) for number in range(900)))
    with ExitStack() as running:
        service = running.enter_context(RunningService(tmp_path, WORKERS="2"))
        service.wait_workers(2)
        acknowledged = running.enter_context(enrolling(service))
        while len(acknowledged) < 20:
            Event().wait(0.01)
        before = list(acknowledged)
        said = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "entry", "backup", str(backup)],
            cwd=ROOT,
            env=environment(SQLITE_PATH=str(path)),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        behind = len(acknowledged) - len(before)
    with closing(SqliteStore(backup)) as copy:
        there = ids(copy.read_all())
    assert set(before) | set(range(900)) <= set(there)
    assert behind > 0  # it kept nobody waiting
    assert said == f"{len(there)} employees of sqlite:{path} are in {backup}.\n"
    assert backup.stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in tmp_path.glob("*backup*")) == ["backup.db"]


def test_a_deletion_during_a_backup_keeps_no_enrolment_waiting(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with (
        closing(SqliteStore(path)) as store,
        ThreadPoolExecutor(1) as pool,
        closing(sqlite3.connect(path, isolation_level=None)) as backup,
    ):
        store.add(someone(1, dimension=128))
        store.add(someone(2, dimension=128))
        backup.execute("BEGIN")
        backup.execute("SELECT count(*) FROM employees").fetchone()
        removing = pool.submit(store.remove, 1)
        began, enrolled = time.monotonic(), 3
        while not removing.done() or enrolled == 3:
            store.add(someone(enrolled, dimension=128))
            enrolled += 1
        assert time.monotonic() - began < 3  # a writer waits for at most 5 s, then it is a 503
        removing.result()
        backup.execute("COMMIT")
        assert 1 not in ids(store.read_all())


def test_what_is_restored_is_served_at_once_by_every_worker(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with RunningService(tmp_path, WORKERS="2") as service:
        service.wait_workers(2)
        assert service.call("POST", "/api/store/1", json=EILEEN).status_code == 200
        assert done("backup", backup, path).startswith("1 employee ")
        assert service.call("DELETE", "/api/1").status_code == 200
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        assert done("restore", backup, path) == (
            f"sqlite:{path} now holds the 1 employee of {backup}, and nobody else.\n"
        )
        for _ in range(8):
            eileen = {"image_base64": photos.astronaut()}
            assert service.call("POST", "/api/find_match", json=eileen).json()["_id"] == 1
            grace = {"image_base64": photos.admiral()}
            assert service.call("POST", "/api/find_match", json=grace).status_code == 406
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        for _ in range(4):
            assert service.call("POST", "/api/find_match", json=grace).json()["_id"] == 2


def test_every_reader_reads_everything_anew(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(path)) as store:
        at_the_beginning = store.position()
        store.add(someone(0))
        done("backup", backup, path)
        store.add(someone(1))
        later = store.position()
        for _ in range(2):
            done("restore", backup, path)
            for position in (at_the_beginning, later):
                with pytest.raises(ChangesForgotten):
                    store.changes_since(position)
            later = store.position()
        store.add(someone(2))
        assert store.changes_since(later).employee_ids == {2}


def test_a_restore_brings_back_every_record_as_it_was(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    keys = VectorKeys(VECTOR_KEY)
    with closing(SqliteStore(path, keys)) as store:
        for number in (0, 7, 2_000_000):
            store.add(replace(someone(number, vectors=3), photo_hashes=(bytes(64),)))
        kept = everything(store)
        done("backup", backup, path, VECTOR_KEYS=VECTOR_KEY)
        store.remove(7)
        store.replace(someone(0, seed=5))
        store.add(someone(9))
        done("restore", backup, path, VECTOR_KEYS=VECTOR_KEY)
        assert everything(store) == kept
        (wal,) = tmp_path.glob("employees.db-wal")
        assert wal.stat().st_size == 0
    assert not list(tmp_path.glob(".restore-*"))


def test_photos_that_were_used_since_the_backup_stay_used(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    kept, replaced = someone(1), someone(2)
    with closing(SqliteStore(path)) as store:
        store.add(kept)
        store.add(replaced)
        store.use_probe(kept, UsedProbe(b"1" * 128, 100), lambda _: 0)
        store.use_probe(replaced, UsedProbe(b"2" * 128, 100), lambda _: 0)
        done("backup", backup, path)
        store.use_probe(kept, UsedProbe(b"3" * 128, 100), lambda _: 0)
        store.replace(someone(2, seed=1))
        store.add(someone(3))
        done("restore", backup, path)
        assert {each.photo_hash for each in store.used_probes(1)} == {b"1" * 128, b"3" * 128}
        assert {each.photo_hash for each in store.used_probes(2)} == {b"2" * 128}


def test_a_backup_of_the_first_release_is_restored(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "old.db"
    with closing(sqlite3.connect(backup)) as database, database:
        database.executescript(FIRST_SCHEMA)
        vectors = someone(1).vectors
        row = (1, "Ada", "Byron", "dlib", vectors.shape[1], vectors.tobytes())
        database.execute("INSERT INTO employees VALUES (?, ?, ?, ?, ?, ?)", row)
    before = backup.read_bytes()
    with closing(SqliteStore(path)) as store:
        done("restore", backup, path)
        (employee,) = store.read_all()
    assert (employee.name, employee.vectors.tobytes()) == ("Ada", vectors.tobytes())
    assert backup.read_bytes() == before


def test_a_backup_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(backup, VectorKeys(VECTOR_KEY))) as store:
        store.add(someone(1))
    with closing(SqliteStore(path)) as store:
        store.add(someone(2))
        assert "VECTOR_KEYS does not hold" in refused("restore", backup, path)
        nobody = tmp_path / "nobody.db"
        SqliteStore(nobody).close()
        assert f"{nobody} holds no employees" in refused("restore", nobody, path)
        assert f"there is no file {tmp_path / 'none'}" in refused(
            "restore", tmp_path / "none", path
        )
        text = tmp_path / "text"
        text.write_text("no database " * 1_000)
        assert "is not an employee database" in refused("restore", text, path)
        (tmp_path / "empty").touch()
        assert "is not an employee database" in refused("restore", tmp_path / "empty", path)
        with closing(sqlite3.connect(backup)) as database:
            database.execute("PRAGMA user_version = 99")
        assert "schema version 99" in refused(
            "restore", backup, path, VECTOR_KEYS=f"{VECTOR_KEY} plain"
        )
        assert ids(store.read_all()) == [2]


def test_a_store_is_restored_with_its_own_keys_only(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(backup)) as store:
        store.add(someone(1))
    with closing(SqliteStore(path, VectorKeys(VECTOR_KEY))) as store:
        store.add(someone(2))
        assert "VECTOR_KEYS does not hold" in refused("restore", backup, path)
        assert ids(store.read_all()) == [2]


def test_a_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(path)) as store:
        fill(path, (someone(number, dimension=128) for number in range(500)))
        done("backup", backup, path)
        damaged = bytearray(backup.read_bytes())
        middle = len(damaged) // 2
        damaged[middle : middle + 40_000] = bytes(40_000)
        backup.write_bytes(damaged)
        store.remove(1)
        assert f"{backup} is damaged" in refused("restore", backup, path)
        assert store.count() == 499


def test_no_file_is_overwritten_and_no_store_is_made(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    misspelt = tmp_path / "made" / "employes.db"
    SqliteStore(path).close()
    backup.write_text("mine")
    assert f"{backup} exists already" in refused("backup", backup, path)
    assert backup.read_text() == "mine"
    new = tmp_path / "new.db"
    for taken in ("", ".", "/"):
        assert "exists already" in refused("backup", Path(taken), path)
    assert f"there is no file {misspelt} (SQLITE_PATH)" in refused("backup", new, misspelt)
    done("backup", new, path)
    assert f"there is no file {misspelt} (SQLITE_PATH)" in refused("restore", new, misspelt)
    assert not misspelt.parent.exists()


def test_with_mongodb_they_say_what_does_it(tmp_path: Path) -> None:
    for name in ("backup", "restore"):
        said = refused(name, tmp_path / "file", tmp_path / "none", MONGO_DB_URL="localhost/people")
        assert "mongodump and mongorestore" in said
    assert not list(tmp_path.iterdir())
