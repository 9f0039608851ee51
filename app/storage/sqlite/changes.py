"""The change log in SQLite: entries numbered 1, 2, 3 … in the order in which they are committed."""

import sqlite3

from app.storage import Changes, ChangesForgotten

CHANGES_KEPT = 10_000  # a reader that is further behind must read the whole store again
_NO_EMPLOYEE = -1  # the id in entries that stand for no change


def append(database: sqlite3.Connection, employee_id: int) -> None:
    """Log a change within the transaction that makes it."""
    logged = database.execute("INSERT INTO changes (employee_id) VALUES (?)", (employee_id,))
    newest = logged.lastrowid or 0
    database.execute("DELETE FROM changes WHERE number <= ?", (newest - CHANGES_KEPT,))


def position(database: sqlite3.Connection) -> int:
    """Return the number of the newest change, 0 if there is none."""
    (newest,) = database.execute("SELECT max(number) FROM changes").fetchone()
    return newest or 0


def since(database: sqlite3.Connection, position: int) -> Changes:
    """Return the changes after `position`. Raises ChangesForgotten."""
    entries = database.execute(
        "SELECT number, employee_id FROM changes WHERE number >= ? ORDER BY number", (position,)
    ).fetchall()
    # If the entry at the reader's position is still there, no later one has been pruned. Position
    # 0, before the first change, has no entry in the table, so add one here.
    entries = entries if position else [(0, _NO_EMPLOYEE), *entries]
    numbers = [number for number, _ in entries]
    if not numbers or numbers != list(range(position, position + len(numbers))):
        raise ChangesForgotten(f"the change log does not reach back to change {position}")
    return Changes(numbers[-1], frozenset(employee_id for _, employee_id in entries[1:]))


def remembered(database: sqlite3.Connection) -> Changes:
    """Return all changes that are in the log."""
    entries = database.execute("SELECT number, employee_id FROM changes ORDER BY number").fetchall()
    newest = entries[-1][0] if entries else 0
    return Changes(newest, frozenset(employee_id for _, employee_id in entries))


def forget_all(database: sqlite3.Connection) -> None:
    """Empty the log and skip a number, so that every reader reads the whole store again."""
    (newest,) = database.execute(
        "SELECT ifnull(max(seq), 0) FROM main.sqlite_sequence WHERE name = 'changes'"
    ).fetchone()
    database.execute("DELETE FROM main.changes")
    database.execute(
        "INSERT INTO main.changes (number, employee_id) VALUES (?, ?)", (newest + 2, _NO_EMPLOYEE)
    )
