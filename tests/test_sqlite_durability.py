"""What was acknowledged survives kill -9; what is no store of ours is refused in a sentence."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from app.storage import ChangesForgotten, Employee, EmployeeExists, StoreUnavailable
from app.storage.sqlite.changes import CHANGES_KEPT
from app.storage.sqlite.store import SqliteStore

ROOT = Path(__file__).parent.parent
OPEN_FILES = Path("/proc/self/fd")
STARTERS = 6
ROUNDS = 4
ACKNOWLEDGED_BEFORE_THE_KILL = 40

FIRST_SCHEMA = """
CREATE TABLE employees (
    employee_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    vectors BLOB NOT NULL CHECK (length(vectors) > 0 AND length(vectors) % (4 * dimension) = 0)
) STRICT;
CREATE INDEX employees_by_model ON employees (model);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    employee_id INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 1;
"""

# Enrols from argv[2] upwards, in steps of argv[3], argv[4] people; prints each acknowledged id.
ENROL = """
import sys
from pathlib import Path
import numpy as np
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
first, step, people = map(int, sys.argv[2:])
for employee_id in range(first, first + step * people, step):
    vectors = np.full((2, 512), employee_id, dtype=np.float32)
    store.add(Employee(employee_id, "name", "surname", vectors, "dlib"))
    print(employee_id, flush=True)
"""


def enrolling(path: Path, first: int, step: int, people: int) -> subprocess.Popen[str]:
    arguments = [str(number) for number in (first, step, people)]
    return subprocess.Popen(
        [sys.executable, "-c", ENROL, str(path), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def someone(employee_id: int) -> Employee:
    return Employee(employee_id, "name", "surname", np.ones((1, 4), dtype=np.float32), "dlib")


def test_acknowledged_enrolments_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    acknowledged: list[int] = []
    for number in range(ROUNDS):
        child = enrolling(path, first=number * 100_000, step=1, people=100_000)
        assert child.stdout
        for line in child.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) >= (number + 1) * ACKNOWLEDGED_BEFORE_THE_KILL:
                child.kill()
                break
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait()

        store = SqliteStore(path)
        stored = {employee.employee_id: employee for employee in store.read_all()}
        assert set(acknowledged) <= set(stored)
        assert store.count() == len(stored)
        assert store.changes_since(0).employee_ids == set(stored)
        for employee_id, employee in stored.items():
            assert (employee.vectors == np.float32(employee_id)).all()
        store.close()


def test_several_processes_may_make_and_fill_one_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on demand" / "employees.db"
    children = [enrolling(path, first=number, step=3, people=20) for number in range(3)]
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0, 0, 0]
    assert [found.employee_id for found in SqliteStore(path).read_all()] == list(range(60))


def test_all_who_start_at_once_on_no_file_get_one(tmp_path: Path) -> None:
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
