"""Searches by name, group and external id in SQLite."""

import sqlite3

from app.storage import Selection
from app.storage.names import last_with, words

_BATCH = 1_000  # employees whose names are indexed in one transaction

Parameters = list[int | str]


def condition(selection: Selection) -> tuple[str, Parameters]:
    """Return the SQL condition for the rows of `employees` in a selection, and its parameters."""
    conditions, parameters = ["TRUE"], Parameters()
    for word in selection.words:
        conditions.append(
            "employee_id IN (SELECT employee_id FROM words WHERE word BETWEEN ? AND ?)"
        )
        parameters += [word, last_with(word)]
    if selection.groups is not None:
        marks = ", ".join("?" * len(selection.groups))
        conditions.append(
            f"employee_id IN (SELECT employee_id FROM members WHERE group_name IN ({marks}))"  # noqa: S608
        )
        parameters += sorted(selection.groups)
    if selection.external_id is not None:
        conditions.append("external_id = ?")
        parameters.append(selection.external_id)
    if selection.lacks_second:
        conditions.append(
            "employee_id NOT IN (SELECT employee_id FROM employees WHERE second IS NOT NULL)"
        )
    return " AND ".join(conditions), parameters


def members(database: sqlite3.Connection, groups: frozenset[str]) -> list[int]:
    """Return the ids of the employees in one of the groups, ascending."""
    marks = ", ".join("?" * len(groups))
    found = database.execute(
        f"SELECT DISTINCT employee_id FROM members WHERE group_name IN ({marks}) "  # noqa: S608
        "ORDER BY employee_id",
        sorted(groups),
    )
    return [employee_id for (employee_id,) in found]


def index_names(database: sqlite3.Connection, employee_id: int, name: str, surname: str) -> None:
    """Index the names of an employee, within the transaction that writes them."""
    database.execute("DELETE FROM words WHERE employee_id = ?", (employee_id,))
    database.executemany(
        "INSERT INTO words (word, employee_id) VALUES (?, ?)",
        ((word, employee_id) for word in words(f"{name} {surname}")),
    )
    database.execute("DELETE FROM unindexed WHERE employee_id = ?", (employee_id,))


def index_some(database: sqlite3.Connection) -> bool:
    """Index the names of a batch of employees whom an older release wrote; return if any were."""
    rows = database.execute(
        "SELECT employee_id, name, surname FROM unindexed JOIN employees USING (employee_id) "
        "LIMIT ?",
        (_BATCH,),
    ).fetchall()
    for row in rows:
        index_names(database, *row)
    return bool(rows)


def has_unindexed(database: sqlite3.Connection) -> bool:
    """Return whether the names of somebody are not indexed yet."""
    return database.execute("SELECT 1 FROM unindexed LIMIT 1").fetchone() is not None
