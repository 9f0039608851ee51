"""Employees in one SQLite file, shared by every thread and process of one machine."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from app.storage import (
    Changes,
    ChangesForgotten,
    Employee,
    EmployeeExists,
    NoSuchEmployee,
    StoreUnavailable,
    UsedProbe,
)

SCHEMA_VERSION = 3
PROBES = """
CREATE TABLE used_probes (
    employee_id INTEGER NOT NULL,
    photo_hash BLOB NOT NULL,
    until REAL NOT NULL
) STRICT;
CREATE INDEX used_probes_by_employee ON used_probes (employee_id);
CREATE INDEX used_probes_by_end ON used_probes (until)"""
# `vectors` holds (n, dimension) little-endian float32, row by row. It is the last column, and
# `model` is indexed, so that counting never reads the vectors' pages. `photo_hashes` holds hashes
# of PHOTO_HASH_BYTES, one after the other.
SCHEMA = f"""
CREATE TABLE employees (
    employee_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    enrolment_id TEXT NOT NULL,
    photo_hashes BLOB NOT NULL,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    vectors BLOB NOT NULL CHECK (length(vectors) > 0 AND length(vectors) % (4 * dimension) = 0)
) STRICT;
CREATE INDEX employees_by_model ON employees (model);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    employee_id INTEGER NOT NULL
) STRICT;
{PROBES};
PRAGMA user_version = {SCHEMA_VERSION};
"""
FROM_VERSION_2 = f"""
ALTER TABLE employees ADD COLUMN photo_hashes BLOB NOT NULL DEFAULT x'';
{PROBES};
PRAGMA user_version = {SCHEMA_VERSION};
"""
FROM_VERSION_1 = f"""
ALTER TABLE employees ADD COLUMN enrolment_id TEXT NOT NULL DEFAULT '';
{FROM_VERSION_2}
"""
UPGRADES = {0: SCHEMA, 1: FROM_VERSION_1, 2: FROM_VERSION_2}
COLUMNS = "employee_id, name, surname, enrolment_id, photo_hashes, model, dimension, vectors"
PHOTO_HASH_BYTES = 32

PAGE_BYTES = 16 * 1024
BUSY_TIMEOUT_S = 5.0
CHANGES_KEPT = 10_000
READ_BATCH = 256
LARGEST_INTEGER = 2**63 - 1


class SqliteStore:
    """An EmployeeStore in the file `path`, which is made, with its folder, where it is missing.

    Connections do not survive a fork: each process makes its own store. Raises StoreUnavailable
    when the file cannot be used, or was written by a newer release.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A thread borrows a connection for as long as it needs one. One for each thread's life
        # would stay open long after the thread: sqlite3 leaves it to the garbage collector.
        self._idle: list[sqlite3.Connection] = []
        with self._database() as database, _alone_in(path.parent):
            self._prepare(database)

    @property
    def address(self) -> str:
        return f"sqlite:{self._path}"

    def add(self, employee: Employee) -> None:
        with self._transaction() as database:
            added = database.execute(
                f"INSERT INTO employees ({COLUMNS}) VALUES "  # noqa: S608
                "(:employee_id, :name, :surname, :enrolment_id, :photo_hashes, "
                ":model, :dimension, :vectors) ON CONFLICT (employee_id) DO NOTHING",
                _row(employee),
            )
            if added.rowcount:
                _log_change(database, employee.employee_id)
            elif not _is_stored(database, employee):
                raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee) -> None:
        with self._transaction() as database:
            replaced = database.execute(
                "UPDATE employees SET name = :name, surname = :surname, "
                "enrolment_id = :enrolment_id, photo_hashes = :photo_hashes, model = :model, "
                "dimension = :dimension, vectors = :vectors WHERE employee_id = :employee_id",
                _row(employee),
            )
            if not replaced.rowcount:
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            _forget_probes(database, employee.employee_id)
            _log_change(database, employee.employee_id)

    def remove(self, employee_id: int) -> None:
        with self._transaction() as database:
            removed = database.execute(
                "DELETE FROM employees WHERE employee_id = ?", (employee_id,)
            )
            if not removed.rowcount:
                raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
            _forget_probes(database, employee_id)
            _log_change(database, employee_id)

    def get(self, employee_ids: Sequence[int]) -> list[Employee]:
        # One JSON parameter, because SQLite limits how many parameters a statement may have.
        ids = json.dumps([int(employee_id) for employee_id in employee_ids])
        return self._select("WHERE employee_id IN (SELECT value FROM json_each(?))", ids)

    def page(self, size: int, number: int) -> list[Employee]:
        limit = min(size, LARGEST_INTEGER)
        offset = min(limit * (number - 1), LARGEST_INTEGER)
        return self._select("ORDER BY employee_id LIMIT ? OFFSET ?", limit, offset)

    def read_all(self) -> Iterator[Employee]:
        # Many short reads: one long one would keep the write-ahead log from being folded back.
        batch = self._select("ORDER BY employee_id LIMIT ?", READ_BATCH)
        while batch:
            yield from batch
            batch = self._select(
                "WHERE employee_id > ? ORDER BY employee_id LIMIT ?",
                batch[-1].employee_id,
                READ_BATCH,
            )

    def use_probe(self, employee: Employee, probe: UsedProbe, now: float) -> list[bytes]:
        owner = employee.employee_id
        with self._transaction() as database:
            if not _is_stored(database, employee):
                raise NoSuchEmployee(f"employee {owner} is not enrolled")
            database.execute("DELETE FROM used_probes WHERE until <= ?", (now,))
            others = database.execute(
                "SELECT photo_hash FROM used_probes WHERE employee_id = ?", (owner,)
            ).fetchall()
            database.execute(
                "INSERT INTO used_probes (employee_id, photo_hash, until) VALUES (?, ?, ?)",
                (owner, probe.photo_hash, probe.until),
            )
        return [photo_hash for (photo_hash,) in others]

    def count(self) -> int:
        with self._database() as database:
            (count,) = database.execute("SELECT count(*) FROM employees").fetchone()
        return int(count)

    def models(self) -> dict[str, int]:
        with self._database() as database:
            return dict(
                database.execute("SELECT model, count(*) FROM employees GROUP BY model").fetchall()
            )

    def position(self) -> int:
        with self._database() as database:
            (newest,) = database.execute("SELECT max(number) FROM changes").fetchone()
        return newest or 0

    def changes_since(self, position: int) -> Changes:
        with self._database() as database:
            entries = database.execute(
                "SELECT number, employee_id FROM changes WHERE number >= ? ORDER BY number",
                (position,),
            ).fetchall()
        # The reader's own entry must still be there: then none after it can be missing. Before
        # the first change stands an entry 0 that is nobody's.
        entries = entries if position else [(0, None), *entries]
        numbers = [number for number, _ in entries]
        if not numbers or numbers != list(range(position, position + len(numbers))):
            raise ChangesForgotten(f"the change log does not reach back to change {position}")
        return Changes(numbers[-1], frozenset(employee_id for _, employee_id in entries[1:]))

    def ping(self) -> None:
        with self._database() as database:
            database.execute("SELECT 1 FROM employees LIMIT 1").fetchone()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Lay out a new file; check what an existing one is."""
        (journal_mode,) = database.execute("PRAGMA journal_mode").fetchone()
        if journal_mode != "wal":
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            (journal_mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal_mode != "wal":
            raise self._unavailable("its file system has no shared memory for a write-ahead log")
        database.execute("BEGIN IMMEDIATE")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        for statement in UPGRADES.get(version, "").split(";"):
            database.execute(statement)
        database.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise self._unavailable(
                f"a newer release wrote it (schema version {version}, this release knows "
                f"{SCHEMA_VERSION}): run that release"
            )

    def _select(self, clauses: str, *parameters: int | str) -> list[Employee]:
        with self._database() as database:
            rows = database.execute(
                f"SELECT {COLUMNS} FROM employees {clauses}",  # noqa: S608
                parameters,
            ).fetchall()
        return [_employee(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing. IMMEDIATE: the write lock is waited for before anything is read."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; what goes wrong with it is raised as StoreUnavailable."""
        try:
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def _borrow(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but not always the same one
        )
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"the SQLite file {self._path} (SQLITE_PATH) is unusable: {reason}")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: SQLite refuses, without waiting, to lay out a file twice at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_stored(database: sqlite3.Connection, employee: Employee) -> bool:
    """Whether this very enrolment is what is stored of the employee."""
    stored = database.execute(
        "SELECT 1 FROM employees WHERE employee_id = ? AND enrolment_id = ?",
        (employee.employee_id, employee.enrolment_id),
    )
    return stored.fetchone() is not None


def _forget_probes(database: sqlite3.Connection, employee_id: int) -> None:
    database.execute("DELETE FROM used_probes WHERE employee_id = ?", (employee_id,))


def _log_change(database: sqlite3.Connection, employee_id: int) -> None:
    logged = database.execute("INSERT INTO changes (employee_id) VALUES (?)", (employee_id,))
    newest = logged.lastrowid or 0
    database.execute("DELETE FROM changes WHERE number <= ?", (newest - CHANGES_KEPT,))


def _row(employee: Employee) -> dict[str, Any]:
    return {
        "employee_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        "enrolment_id": employee.enrolment_id,
        "photo_hashes": b"".join(employee.photo_hashes),
        "model": employee.model,
        "dimension": employee.vectors.shape[1],
        "vectors": employee.vectors.astype("<f4", copy=False).tobytes(),
    }


def _employee(
    employee_id: int,
    name: str,
    surname: str,
    enrolment_id: str,
    photo_hashes: bytes,
    model: str,
    dimension: int,
    vectors: bytes,
) -> Employee:
    matrix = np.frombuffer(vectors, dtype="<f4").reshape(-1, dimension)
    matrix = matrix.astype(np.float32, copy=False)
    starts = range(0, len(photo_hashes), PHOTO_HASH_BYTES)
    hashes = tuple(photo_hashes[start : start + PHOTO_HASH_BYTES] for start in starts)
    return Employee(employee_id, name, surname, matrix, model, enrolment_id, hashes)
