"""Who is deleted or replaced leaves nothing behind: in no database file, index, worker or log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.memory_index import MemoryIndex
from app.gallery.rows import Sizes
from app.settings import Settings
from app.storage import Employee
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY
from testbed.mongod import Mongod

DIMENSION = 512
PIECE = 16  # bytes; as long a run of a vector's bytes is nobody else's


def named(employee_id: int, seed: int = 0) -> Employee:
    """Somebody whose name and vectors are found in a file wherever they are."""
    vectors = np.random.default_rng([employee_id, seed]).normal(size=(2, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    name = f"Name{employee_id:05}of{seed}"
    return Employee(employee_id, name, "Sur" + name, vectors.astype(np.float32), "dlib")


def pieces(vectors: NDArray[np.float32]) -> Iterator[bytes]:
    data = vectors.tobytes()
    for start in range(0, len(data) - PIECE, PIECE * 5):
        yield data[start : start + PIECE]


def traces(employee: Employee, data: bytes) -> list[str]:
    """What of an employee is in the data."""
    found = [name for name in (employee.name, employee.surname) if name.encode() in data]
    found += ["vector" for piece in pieces(employee.vectors) if piece in data]
    return found


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_sqlite_files_hold_nothing_of_who_was_removed_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    random = np.random.default_rng(1)
    with closing(SqliteStore(path)) as store, closing(SqliteStore(path)) as other_worker:
        for number in random.permutation(200):
            store.add(named(int(number)))
        assert traces(named(7), files(tmp_path))
        other_worker.get([7])
        removed = [named(int(number)) for number in random.permutation(200)[:60]]
        for employee in removed[:50]:
            store.remove(employee.employee_id)
        for employee in removed[50:]:
            store.replace(named(employee.employee_id, seed=1))
        # while every connection is open, and before anything else is written
        data = files(tmp_path)
        for employee in removed:
            assert traces(employee, data) == []
        assert traces(named(removed[-1].employee_id, seed=1), data)


def test_a_file_of_an_older_release_is_cleaned_once(tmp_path: Path) -> None:
    """It left behind what it deleted."""
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        for number in range(50):
            store.add(named(number))
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute("DROP INDEX employees_by_seal")
        database.execute("DROP TABLE used_probes")
        database.execute("ALTER TABLE employees DROP COLUMN photo_hashes")
        database.execute("ALTER TABLE employees DROP COLUMN sealed_with")
        database.execute("ALTER TABLE employees DROP COLUMN seal")
        database.execute("PRAGMA user_version = 2")
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM employees WHERE employee_id = 7")
    database.close()
    assert traces(named(7), files(tmp_path))
    SqliteStore(path).close()
    assert traces(named(7), files(tmp_path)) == []
    with closing(SqliteStore(path)) as store:
        assert store.count() == 49


def test_with_encryption_no_mongodb_file_ever_holds_a_vector() -> None:
    """What MongoDB deletes stays in its files for a while: so nothing readable ever gets there."""
    with Mongod() as mongod:
        settings = Settings(mongo_db_url=f"{mongod.address}/people", mongo_db_timeout_s=20)
        with closing(MongoStore.connect(settings)) as store:
            store.add(named(1))
        with closing(MongoStore.connect(settings, VectorKeys(f"{VECTOR_KEY} plain"))) as store:
            for number in range(2, 20):
                store.add(named(number))
            for number in range(2, 20, 2):
                store.remove(number)
        mongod.stop()  # everything is in the files then
        data = files(mongod.data)
    assert "vector" in traces(named(1), data)  # so it would be found
    for number in range(2, 20):
        assert "vector" not in traces(named(number), data)


@pytest.mark.parametrize(
    ("sizes", "numbers"),
    [
        pytest.param(Sizes(), np.float32, id="exact"),
        pytest.param(Sizes(exact=20, block=16, finalists=8), np.int8, id="coded"),
    ],
)
def test_the_index_in_memory_holds_nothing_of_who_was_removed(
    sizes: Sizes, numbers: type[np.generic]
) -> None:
    def held() -> set[bytes]:
        """Every row that holds anything, those beyond the index's end included."""
        tables = [array for array in arrays(index) if array.dtype == numbers and array.ndim == 2]
        rows = (row for table in tables if table.shape != (512, 512) for row in table)
        return {row.tobytes() for row in rows if row.any()}

    def put(employee: Employee) -> None:
        owners = np.full(len(employee.vectors), employee.employee_id)
        index.put(owners, employee.vectors)

    index = MemoryIndex(DIMENSION, sizes)
    people = [named(number) for number in range(60)]
    for employee in people[:10]:
        put(employee)
    kept = held()
    for employee in people[10:]:
        put(employee)
    assert len(held()) == 60 * 2
    index.remove(range(10, 60))
    put(named(3, seed=1))
    assert len(held()) == 10 * 2
    if numbers is np.float32:
        assert held() - kept == {row.tobytes() for row in named(3, seed=1).vectors}
    assert index.nearest(people[5].vectors[0], 1) == [5]


def arrays(thing: object) -> Iterator[np.ndarray]:
    """Every array that can be reached from a thing."""
    if isinstance(thing, np.ndarray):
        yield thing
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from arrays(part)
    else:
        names = [*getattr(thing, "__dict__", ()), *getattr(thing, "__slots__", ())]
        for name in names:
            yield from arrays(getattr(thing, name))
