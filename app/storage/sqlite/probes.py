"""The used probes in SQLite."""

import sqlite3

from app.storage import ProbeCheck, UsedProbe


def use(
    database: sqlite3.Connection, employee_id: int, probe: UsedProbe, check: ProbeCheck
) -> None:
    """Remember a probe, unless `check` raises; see `EmployeeStore.use_probe`."""
    forgotten = check(remembered(database, employee_id))
    database.execute(
        "DELETE FROM used_probes WHERE rowid IN (SELECT rowid FROM used_probes "
        "WHERE employee_id = ? ORDER BY rowid LIMIT ?)",
        (employee_id, forgotten),
    )
    database.execute(
        "INSERT INTO used_probes (employee_id, photo_hash, until) VALUES (?, ?, ?)",
        (employee_id, probe.photo_hash, probe.until),
    )


def remembered(database: sqlite3.Connection, employee_id: int) -> list[UsedProbe]:
    """Return the remembered probes of an employee, oldest first."""
    probes = database.execute(
        "SELECT photo_hash, until FROM used_probes WHERE employee_id = ? ORDER BY rowid",
        (employee_id,),
    ).fetchall()
    return [UsedProbe(photo_hash, until) for photo_hash, until in probes]


def forget(database: sqlite3.Connection, employee_id: int) -> None:
    """Forget all used probes of an employee."""
    database.execute("DELETE FROM used_probes WHERE employee_id = ?", (employee_id,))
