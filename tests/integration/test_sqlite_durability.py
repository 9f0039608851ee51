"""What was acknowledged survives kill -9; what is no store of ours is refused in a sentence."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from app.storage import ChangesForgotten, Employee, EmployeeExists, StoreUnavailable
from app.storage.sqlite.changes import CHANGES_KEPT
from app.storage.sqlite.store import SqliteStore
from tests.support.old_files import FIRST_SCHEMA

OPEN_FILES = Path("/proc/self/fd")
STARTERS = 6


def someone(employee_id: int) -> Employee:
    return Employee(employee_id, "name", "surname", np.ones((1, 4), dtype=np.float32), "dlib")


def test_concurrent_starts_create_one_file(tmp_path: Path) -> None:
    barrier = Barrier(STARTERS)

    def start(path: Path) -> None:
        barrier.wait()
        SqliteStore(path).close()

    with ThreadPoolExecutor(STARTERS) as pool:
        for number in range(20):
            path = tmp_path / str(number) / "employees.db"
            list(pool.map(start, [path] * STARTERS))


def test_the_file_is_laid_out_as_designed(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    SqliteStore(path).add(someone(1))
    database = sqlite3.connect(path)
    pragmas = [
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "page_size")
    ]
    database.close()
    assert pragmas == ["wal", 16 * 1024]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    path.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"SQLITE_PATH.*not a database") as caught:
        SqliteStore(path)
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"SQLITE_PATH.*(File exists|Not a directory)"):
        SqliteStore(tmp_path / "file" / "employees.db")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="SQLITE_PATH"):
        SqliteStore(tmp_path)


def test_a_file_of_a_newer_release(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    SqliteStore(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreUnavailable, match=r"newer release.*99"):
        SqliteStore(path)


def test_a_file_of_the_first_release_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    vectors = np.eye(2, 4, dtype="<f4")
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(FIRST_SCHEMA)
    row = (1, "Ada", "Lovelace", "dlib", 4, vectors.tobytes())
    database.execute("INSERT INTO employees VALUES (?, ?, ?, ?, ?, ?)", row)
    database.execute("INSERT INTO changes (employee_id) VALUES (1)")
    database.commit()
    database.close()
    for _ in range(2):
        store = SqliteStore(path)
        (employee,) = store.get([1])
        assert (employee.name, employee.surname, employee.enrolment_id) == ("Ada", "Lovelace", "")
        assert (employee.vectors == vectors).all()
        with pytest.raises(EmployeeExists):
            store.add(someone(1))
        store.close()
    successor = someone(1)
    store = SqliteStore(path)
    store.replace(successor)
    store.add(successor)
    store.add(someone(2))
    assert store.changes_since(1).employee_ids == {1, 2}
    assert store.get([1])[0].enrolment_id == successor.enrolment_id
    store.close()


def test_old_changes_are_forgotten_new_ones_kept(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    store = SqliteStore(path)
    store.add(someone(1))
    early = store.position()
    # As if that many changes had gone by: only the counter moves, which is quick.
    database = sqlite3.connect(path)
    database.executemany(
        "INSERT INTO changes (employee_id) VALUES (?)", [(2,) for _ in range(CHANGES_KEPT - 1)]
    )
    database.commit()
    database.close()
    assert store.changes_since(early).employee_ids == {2}
    recent = store.position()
    store.add(someone(3))
    assert store.changes_since(recent).employee_ids == {3}
    for forgotten in (0, early):
        with pytest.raises(ChangesForgotten):
            store.changes_since(forgotten)


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="open files are counted in /proc")
def test_threads_that_end_leave_no_connections_behind(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "employees.db")
    for _ in range(20):
        thread = Thread(target=store.count)
        thread.start()
        thread.join()
    opened = [str(link.readlink()) for link in OPEN_FILES.iterdir() if link.is_symlink()]
    assert sum(str(tmp_path) in name for name in opened) <= 4
