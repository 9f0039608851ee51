"""Employees in one SQLite file, shared by every thread and process of one machine."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from app.storage import (
    Changes,
    ChangesForgotten,
    Employee,
    EmployeeExists,
    NoSuchEmployee,
    StoreUnavailable,
)
from app.storage.sealing import CannotOpen, Stored, VectorKeys
from app.storage.sqlite_schema import COLUMNS, LAYOUTS, SCHEMA_VERSION

log = structlog.get_logger()

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

    def __init__(self, path: Path, keys: VectorKeys | None = None) -> None:
        self._path = path
        self._keys = keys or VectorKeys()
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
                "(:employee_id, :name, :surname, :enrolment_id, :model, :dimension, "
                ":sealed_with, :seal, :vectors) ON CONFLICT (employee_id) DO NOTHING",
                self._row(employee),
            )
            if added.rowcount:
                _log_change(database, employee.employee_id)
            elif not _is_stored(database, employee):
                raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee) -> None:
        with self._transaction() as database:
            replaced = database.execute(
                "UPDATE employees SET name = :name, surname = :surname, "
                "enrolment_id = :enrolment_id, model = :model, dimension = :dimension, "
                "sealed_with = :sealed_with, seal = :seal, "
                "vectors = :vectors WHERE employee_id = :employee_id",
                self._row(employee),
            )
            if not replaced.rowcount:
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            _log_change(database, employee.employee_id)
        self._wipe_log()

    def remove(self, employee_id: int) -> None:
        with self._transaction() as database:
            removed = database.execute(
                "DELETE FROM employees WHERE employee_id = ?", (employee_id,)
            )
            if not removed.rowcount:
                raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
            _log_change(database, employee_id)
        self._wipe_log()

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
        rows = self._rows("ORDER BY employee_id LIMIT ?", READ_BATCH)
        while rows:
            yield from self._readable(rows)
            rows = self._rows(
                "WHERE employee_id > ? ORDER BY employee_id LIMIT ?", rows[-1][0], READ_BATCH
            )

    def count(self) -> int:
        with self._database() as database:
            (count,) = database.execute("SELECT count(*) FROM employees").fetchone()
        return int(count)

    def models(self) -> dict[str, int]:
        with self._database() as database:
            return dict(
                database.execute("SELECT model, count(*) FROM employees GROUP BY model").fetchall()
            )

    def check_seals(self) -> None:
        with self._database() as database:
            self._keys.check(
                dict(
                    database.execute(
                        "SELECT sealed_with, count(*) FROM employees GROUP BY sealed_with"
                    ).fetchall()
                )
            )

    def seal_anew(self) -> Iterator[tuple[int, int]]:
        self.check_seals()
        done, after = 0, -1
        total = self._count_sealed_otherwise()
        while rows := self._rows(
            "WHERE sealed_with <> ? AND employee_id > ? ORDER BY employee_id LIMIT ?",
            self._keys.first,
            after,
            READ_BATCH,
        ):
            sealed = [self._row(employee) for employee in self._readable(rows)]
            with self._transaction() as database:
                # not those that were enrolled anew meanwhile
                database.executemany(
                    "UPDATE employees SET sealed_with = :sealed_with, seal = :seal, "
                    "vectors = :vectors "
                    "WHERE employee_id = :employee_id AND enrolment_id = :enrolment_id",
                    sealed,
                )
            done, after = done + len(rows), rows[-1][0]
            yield done, total
        self._wipe_log()

    def _count_sealed_otherwise(self) -> int:
        with self._database() as database:
            (count,) = database.execute(
                "SELECT count(*) FROM employees WHERE sealed_with <> ?", (self._keys.first,)
            ).fetchone()
        return int(count)

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
        for statement in LAYOUTS.get(version, "").split(";"):
            database.execute(statement)
        database.execute("COMMIT")
        if version in (1, 2):  # they left behind what they deleted
            database.execute("VACUUM")
        _wipe_log(database)
        if version > SCHEMA_VERSION:
            raise self._unavailable(
                f"a newer release wrote it (schema version {version}, this release knows "
                f"{SCHEMA_VERSION}): run that release"
            )

    def _select(self, clauses: str, *parameters: int | str) -> list[Employee]:
        return list(self._readable(self._rows(clauses, *parameters)))

    def _rows(self, clauses: str, *parameters: int | str) -> list[tuple[Any, ...]]:
        with self._database() as database:
            return database.execute(
                f"SELECT {COLUMNS} FROM employees {clauses}",  # noqa: S608
                parameters,
            ).fetchall()

    def _readable(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Employee]:
        """The employees of the rows that can be opened: a bad one must not lock others out."""
        for employee_id, name, surname, enrolment_id, model, dimension, *stored in rows:
            sealed_with, seal, vectors = stored
            try:
                matrix = self._keys.open(
                    Stored(vectors, sealed_with, seal), employee_id, model, dimension
                )
            except CannotOpen as error:
                log.error("unreadable employee", employee_id=employee_id, reason=str(error))
                continue
            yield Employee(employee_id, name, surname, matrix, model, enrolment_id)

    def _row(self, employee: Employee) -> dict[str, Any]:
        stored = self._keys.seal(employee)
        return {
            "employee_id": employee.employee_id,
            "name": employee.name,
            "surname": employee.surname,
            "enrolment_id": employee.enrolment_id,
            "model": employee.model,
            "dimension": employee.vectors.shape[1],
            "sealed_with": stored.sealed_with,
            "seal": stored.seal,
            "vectors": stored.vectors,
        }

    def _wipe_log(self) -> None:
        """Leave nothing of what was removed or replaced in the write-ahead log."""
        with self._database() as database:
            _wipe_log(database)

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
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
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


def _wipe_log(database: sqlite3.Connection) -> None:
    """Fold the write-ahead log back into the file and cut it off, when its readers are done."""
    reason: object = "it is being read"
    try:
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:  # the removal itself is done
        busy, reason = True, error
    if busy:
        log.warning("what was removed is in the write-ahead log for now", reason=str(reason))


def _log_change(database: sqlite3.Connection, employee_id: int) -> None:
    logged = database.execute("INSERT INTO changes (employee_id) VALUES (?)", (employee_id,))
    newest = logged.lastrowid or 0
    database.execute("DELETE FROM changes WHERE number <= ?", (newest - CHANGES_KEPT,))
