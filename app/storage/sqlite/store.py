"""The employees in one SQLite file, which all threads and processes of one machine share."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from app.storage import (
    Changes,
    Employee,
    EmployeeChanged,
    EmployeeExists,
    ExternalIdTaken,
    LivenessSession,
    NoSuchEmployee,
    Outline,
    ProbeCheck,
    Selection,
    UsedProbe,
)
from app.storage.sealing import CannotOpen, VectorKeys
from app.storage.sqlite import changes, probes, search, sessions
from app.storage.sqlite.file import SqliteFile
from app.storage.sqlite.rows import from_row, to_row
from app.storage.sqlite.schema import COLUMNS

log = structlog.get_logger()

READ_BATCH = 256  # rows read at a time, so that no read lasts long
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1  # the range of SQLite's integers
# The ids are one JSON parameter, because SQLite limits the number of parameters of a statement.
_ID_IN_LIST = "employee_id IN (SELECT value FROM json_each(?))"
_COLUMNS = ", ".join(COLUMNS)
_INSERT = (
    f"INSERT INTO employees ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (employee_id) DO NOTHING"
)
_UPDATE = (
    f"UPDATE employees SET {', '.join(f'{name} = :{name}' for name in COLUMNS[1:])} "  # noqa: S608
    "WHERE employee_id = :employee_id"
)


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
            with _unique_external_id():
                added = database.execute(_INSERT, self._row(employee))
            if added.rowcount:
                self._written(database, employee)
            elif _stored_enrolment(database, employee.employee_id) != employee.enrolment_id:
                raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee, was: str | None = None) -> None:
        self._replace(employee, was, forget_probes=True)

    def update(self, employee: Employee, was: str) -> None:
        self._replace(employee, was, forget_probes=False)

    def _replace(self, employee: Employee, was: str | None, *, forget_probes: bool) -> None:
        with self._file.transaction() as database:
            stored = _stored_enrolment(database, employee.employee_id)
            if stored is None:
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            if was is not None and stored != was:
                if stored == employee.enrolment_id:
                    return
                raise EmployeeChanged(f"employee {employee.employee_id} has changed meanwhile")
            with _unique_external_id():
                database.execute(_UPDATE, self._row(employee))
            if forget_probes:
                probes.forget(database, employee.employee_id)
            self._written(database, employee)
        self._file.wipe_log()

    def _written(self, database: sqlite3.Connection, employee: Employee) -> None:
        search.index_names(database, employee.employee_id, employee.name, employee.surname)
        changes.append(database, employee.employee_id)

    def remove(self, employee_id: int, was: str | None = None) -> None:
        with self._file.transaction() as database:
            if was is not None and _stored_enrolment(database, employee_id) not in (was, None):
                raise EmployeeChanged(f"employee {employee_id} has changed meanwhile")
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

    def enrolment_id(self, employee_id: int) -> str | None:
        with self._file.connection() as database:
            return _stored_enrolment(database, employee_id)

    def page(self, size: int, number: int) -> list[Employee]:
        limit = min(size, LARGEST_INTEGER)
        offset = min(limit * (number - 1), LARGEST_INTEGER)
        return self._select("ORDER BY employee_id LIMIT ? OFFSET ?", limit, offset)

    def find(self, selection: Selection, limit: int, after: int | None = None) -> list[Employee]:
        self._index_names(selection)
        condition, parameters = search.condition(selection)
        after = SMALLEST_INTEGER if after is None else after
        batches = self._batches(condition, *parameters, size=limit, after=after)
        readable = (employee for rows in batches for employee in self._readable(rows))
        return list(islice(readable, limit))

    def count_selected(self, selection: Selection) -> int:
        self._index_names(selection)
        condition, parameters = search.condition(selection)
        with self._file.connection() as database:
            (count,) = database.execute(
                f"SELECT count(*) FROM employees WHERE {condition}",  # noqa: S608
                parameters,
            ).fetchone()
        return int(count)

    def members(self, groups: frozenset[str]) -> NDArray[np.int64]:
        with self._file.connection() as database:
            return np.array(search.members(database, groups), np.int64)

    def prepare_search(self) -> None:
        left = True
        while left:
            with self._file.transaction() as database:
                left = search.index_some(database)

    def _index_names(self, selection: Selection) -> None:
        """Index what an older release has written meanwhile, if names are searched."""
        if selection.words:
            with self._file.connection() as database:
                unindexed = search.has_unindexed(database)
            if unindexed:
                self.prepare_search()

    def read_all(self) -> Iterator[Employee]:
        for rows in self._batches():
            yield from self._readable(rows)

    def outlines(self) -> Iterator[Outline]:
        for rows in self._batches():
            for row in rows:
                employee_id, name, surname, *_ = row
                model = second = None
                with suppress(CannotOpen):
                    employee = self._employee(row)
                    model, second = employee.model, employee.second_model
                yield Outline(str(employee_id), name, surname, model, second)

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        with self._file.transaction() as database:
            if _stored_enrolment(database, employee.employee_id) != employee.enrolment_id:
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

    def count_second(self, *models: str) -> int:
        with self._file.connection() as database:
            (count,) = database.execute(
                "SELECT count(*) FROM employees WHERE second IS NOT NULL "
                "AND json_extract(second, '$.model') IN (SELECT value FROM json_each(?))",
                (json.dumps(models),),
            ).fetchone()
        return int(count)

    def set_second(self, employee: Employee) -> None:
        with self._file.transaction() as database:
            written = database.execute(
                "UPDATE employees SET second = :second "
                "WHERE employee_id = :employee_id AND enrolment_id = :enrolment_id",
                self._row(employee),
            )
            if not written.rowcount:
                raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
            changes.append(database, employee.employee_id)
        self._file.wipe_log()

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
                    "vectors = :vectors, second = :second "
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
                f"SELECT {_COLUMNS} FROM employees {clauses}",  # noqa: S608
                parameters,
            ).fetchall()

    def _batches(
        self,
        condition: str = "TRUE",
        *parameters: int | str,
        size: int = READ_BATCH,
        after: int = SMALLEST_INTEGER,
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows that meet the condition, in ascending order of id."""
        # Many short reads, because one long read would keep SQLite from folding the write-ahead log
        # back into the file.
        while rows := self._rows(
            f"WHERE {condition} AND employee_id > ? ORDER BY employee_id LIMIT ?",
            *parameters,
            after,
            size,
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
        return from_row(dict(zip(COLUMNS, row, strict=True)), self._keys)

    def _row(self, employee: Employee) -> dict[str, Any]:
        return to_row(employee, self._keys)


@contextmanager
def _unique_external_id() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise ExternalIdTaken("another employee has that external id") from None
        raise


def _stored_enrolment(database: sqlite3.Connection, employee_id: int) -> str | None:
    """Return the id of the enrolment that is stored of an employee; None if there is none."""
    stored = database.execute(
        "SELECT enrolment_id FROM employees WHERE employee_id = ?", (employee_id,)
    ).fetchone()
    return stored and str(stored[0])
