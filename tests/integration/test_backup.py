"""`flask --app entry backup` and `restore`, while services use the store."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from app.storage import UsedProbe
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY, everything, fill, ids, someone
from tests.support.backups import done, every_reader_must_reload_after_a_restore, refused
from tests.support.old_files import FIRST_SCHEMA


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
        waits, enrolled = list[float](), 3
        while not removing.done() or not waits:
            began = time.monotonic()
            store.add(someone(enrolled, dimension=128))
            waits.append(time.monotonic() - began)
            enrolled += 1
        assert max(waits) < 3  # a writer waits for at most 5 s, then it is a 503
        assert sum(waits) < 30
        removing.result()
        backup.execute("COMMIT")
        assert 1 not in ids(store.read_all())


def test_every_reader_reloads_everything_after_a_restore(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        every_reader_must_reload_after_a_restore(store, tmp_path / "backup.db", path)


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
        changed = replace(kept, name="renamed", enrolment_id="later")
        store.update(changed, kept.enrolment_id)
        store.use_probe(changed, UsedProbe(b"3" * 128, 100), lambda _: 0)
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
