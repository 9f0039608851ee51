"""The employees in one SQLite file, which all threads and processes of one machine share."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from app.storage import (
    Changes,
    Employee,
    EmployeeExists,
    LivenessSession,
    NoSuchEmployee,
    Outline,
    ProbeCheck,
    UsedProbe,
)
from app.storage.sealing import CannotOpen, Stored, VectorKeys
from app.storage.sqlite import changes, probes, sessions
from app.storage.sqlite.file import SqliteFile
from app.storage.sqlite.schema import COLUMNS, PHOTO_HASH_BYTES

log = structlog.get_logger()

READ_BATCH = 256  # rows read at a time, so that no read lasts long
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1  # the range of SQLite's integers
# The ids are one JSON parameter, because SQLite limits the number of parameters of a statement.
_ID_IN_LIST = "employee_id IN (SELECT value FROM json_each(?))"


class SqliteStore:
    """An EmployeeStore in the file `path`. Raises StoreUnavailable, as SqliteFile does."""

    def __init__(self, path: Path, keys: VectorKeys | None = None, *, create: bool = True) -> None:
        self._path = path
        self._keys = keys or VectorKeys()
        self._file = SqliteFile(path, create=create)

    @property
    def address(self) -> str:
        return f"sqlite:{self._path}"

    def add(self, employee: Employee) -> None:
        with self._file.transaction() as database:
            added = database.execute(
                f"INSERT INTO employees ({COLUMNS}) VALUES "  # noqa: S608
                "(:employee_id, :name, :surname, :enrolment_id, :photo_hashes, :model, :dimension, "
                ":sealed_with, :seal, :vectors) ON CONFLICT (employee_id) DO NOTHING",
                self._row(employee),
            )
            if added.rowcount:
                changes.append(database, employee.employee_id)
            elif not _is_stored(database, employee):
                raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee) -> None:
        with self._file.transaction() as database:
            replaced = database.execute(
                "UPDATE employees SET name = :name, surname = :surname, "
                "enrolment_id = :enrolment_id, photo_hashes = :photo_hashes, model = :model, "
                "dimension = :dimension, sealed_with = :sealed_with, seal = :seal, "
                "vectors = :vectors WHERE employee_id = :employee_id",
                self._row(employee),
            )
            if not replaced.rowcount:
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            probes.forget(database, employee.employee_id)
            changes.append(database, employee.employee_id)
        self._file.wipe_log()

    def remove(self, employee_id: int) -> None:
        with self._file.transaction() as database:
            removed = database.execute(
                "DELETE FROM employees WHERE employee_id = ?", (employee_id,)
            )
            if not removed.rowcount:
                raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
            probes.forget(database, employee_id)
            changes.append(database, employee_id)
        self._file.wipe_log()

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        ids = json.dumps([int(employee_id) for employee_id in employee_ids])
        return self._select(f"WHERE {_ID_IN_LIST}", ids)

    def page(self, size: int, number: int) -> list[Employee]:
        limit = min(size, LARGEST_INTEGER)
        offset = min(limit * (number - 1), LARGEST_INTEGER)
        return self._select("ORDER BY employee_id LIMIT ? OFFSET ?", limit, offset)

    def read_all(self) -> Iterator[Employee]:
        for rows in self._batches():
            yield from self._readable(rows)

    def outlines(self) -> Iterator[Outline]:
        for rows in self._batches():
            for row in rows:
                employee_id, name, surname, *_ = row
                try:
                    model = self._employee(row).model
                except CannotOpen:
                    model = None
                yield Outline(str(employee_id), name, surname, model)

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        with self._file.transaction() as database:
            if not _is_stored(database, employee):
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            probes.use(database, employee.employee_id, probe, check)

    def used_probes(self, employee_id: int) -> list[UsedProbe]:
        with self._file.connection() as database:
            return probes.remembered(database, employee_id)

    def open_session(self, session: LivenessSession, now: float, most: int) -> None:
        with self._file.transaction() as database:
            sessions.add(database, session, now, most)

    def take_session(self, session_id: str, owner: str, now: float) -> LivenessSession | None:
        with self._file.transaction() as database:
            return sessions.take(database, session_id, owner, now)

    def count(self) -> int:
        with self._file.connection() as database:
            (count,) = database.execute("SELECT count(*) FROM employees").fetchone()
        return int(count)

    def models(self) -> dict[str, int]:
        return self._count_by("model")

    def check_seals(self) -> None:
        self._keys.check_keys(self._count_by("sealed_with"))

    def reseal(self) -> Iterator[tuple[int, int]]:
        self.check_seals()
        counts = self._count_by("sealed_with")
        total = sum(counts.values()) - counts.get(self._keys.first, 0)
        done, unread = 0, 0
        for rows in self._batches("sealed_with <> ?", self._keys.first):
            resealed = [self._row(employee) for employee in self._readable(rows)]
            with self._file.transaction() as database:
                # The enrolment id protects employees who were enrolled again meanwhile.
                database.executemany(
                    "UPDATE employees SET sealed_with = :sealed_with, seal = :seal, "
                    "vectors = :vectors "
                    "WHERE employee_id = :employee_id AND enrolment_id = :enrolment_id",
                    resealed,
                )
            done, unread = done + len(resealed), unread + len(rows) - len(resealed)
            yield done, total
        self._file.wipe_log()
        self._keys.check_resealed(self._count_by("sealed_with"), unread)

    def _count_by(self, column: str) -> dict[str, int]:
        """Return the number of employees for each value of an indexed column."""
        with self._file.connection() as database:
            return dict(
                database.execute(
                    f"SELECT {column}, count(*) FROM employees GROUP BY {column}"  # noqa: S608
                ).fetchall()
            )

    def position(self) -> int:
        with self._file.connection() as database:
            return changes.position(database)

    def changes_since(self, position: int) -> Changes:
        with self._file.connection() as database:
            return changes.since(database, position)

    def changes_remembered(self) -> Changes:
        with self._file.connection() as database:
            return changes.remembered(database)

    def close(self) -> None:
        self._file.close()

    def _select(self, clauses: str, *parameters: int | str) -> list[Employee]:
        return list(self._readable(self._rows(clauses, *parameters)))

    def _rows(self, clauses: str, *parameters: int | str) -> list[tuple[Any, ...]]:
        with self._file.connection() as database:
            return database.execute(
                f"SELECT {COLUMNS} FROM employees {clauses}",  # noqa: S608
                parameters,
            ).fetchall()

    def _batches(
        self, condition: str = "TRUE", *parameters: int | str
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows that meet the condition, in ascending order of id."""
        # Many short reads, because one long read would keep SQLite from folding the write-ahead log
        # back into the file.
        after = SMALLEST_INTEGER
        while rows := self._rows(
            f"WHERE {condition} AND employee_id > ? ORDER BY employee_id LIMIT ?",
            *parameters,
            after,
            READ_BATCH,
        ):
            yield rows
            after = rows[-1][0]

    def _readable(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Employee]:
        """Yield the readable employees; one bad row must not lock out everybody else."""
        for row in rows:
            try:
                yield self._employee(row)
            except CannotOpen as error:
                log.error("unreadable employee skipped", employee_id=row[0], reason=str(error))

    def _employee(self, row: tuple[Any, ...]) -> Employee:
        """Return the employee of a row. Raises CannotOpen."""
        employee_id, name, surname, enrolment_id, hashes, model, dimension, *stored = row
        sealed_with, seal, vectors = stored
        starts = range(0, len(hashes), PHOTO_HASH_BYTES)
        photo_hashes = tuple(hashes[start : start + PHOTO_HASH_BYTES] for start in starts)
        matrix = self._keys.open(Stored(vectors, sealed_with, seal), employee_id, model, dimension)
        return Employee(employee_id, name, surname, matrix, model, enrolment_id, photo_hashes)

    def _row(self, employee: Employee) -> dict[str, Any]:
        stored = self._keys.seal(employee)
        return {
            "employee_id": employee.employee_id,
            "name": employee.name,
            "surname": employee.surname,
            "enrolment_id": employee.enrolment_id,
            "photo_hashes": b"".join(employee.photo_hashes),
            "model": employee.model,
            "dimension": employee.vectors.shape[1],
            "sealed_with": stored.sealed_with,
            "seal": stored.seal,
            "vectors": stored.vectors,
        }


def _is_stored(database: sqlite3.Connection, employee: Employee) -> bool:
    """Return whether this enrolment, and not another one of the employee, is stored."""
    stored = database.execute(
        "SELECT 1 FROM employees WHERE employee_id = ? AND enrolment_id = ?",
        (employee.employee_id, employee.enrolment_id),
    )
    return stored.fetchone() is not None
