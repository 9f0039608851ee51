"""The open liveness sessions in SQLite.

An older release leaves their table alone, so it is not part of the schema's version.
"""

import sqlite3

from app.storage import LivenessSession, TooManySessions

TABLE = """
CREATE TABLE IF NOT EXISTS liveness_sessions (
    session_id TEXT PRIMARY KEY,
    challenge TEXT NOT NULL,
    owner TEXT NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID"""


def add(database: sqlite3.Connection, session: LivenessSession, now: float, most: int) -> None:
    """Store a session; delete those that have expired. See `EmployeeStore.open_session`."""
    database.execute("DELETE FROM liveness_sessions WHERE until <= ?", (now,))
    (count,) = database.execute(
        "SELECT count(*) FROM liveness_sessions WHERE owner = ?", (session.owner,)
    ).fetchone()
    if count >= most:
        raise TooManySessions(f"{count} liveness sessions are open already")
    database.execute(
        "INSERT INTO liveness_sessions (session_id, challenge, owner, until) VALUES (?, ?, ?, ?)",
        (session.session_id, session.challenge, session.owner, session.until),
    )


def take(
    database: sqlite3.Connection, session_id: str, owner: str, now: float
) -> LivenessSession | None:
    """Delete a session and return it; see `EmployeeStore.take_session`."""
    found = database.execute(
        "DELETE FROM liveness_sessions WHERE session_id = ? AND owner = ? AND until > ? "
        "RETURNING challenge, until",
        (session_id, owner, now),
    ).fetchone()
    return found and LivenessSession(session_id, found[0], owner, found[1])
