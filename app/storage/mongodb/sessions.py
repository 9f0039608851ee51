"""The open liveness sessions in MongoDB, one document each, which the server deletes in time.

The methods raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
"""

from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection

from app.storage import LivenessSession, TooManySessions


class Sessions:
    """Documents `{_id: session id, challenge, owner, until}`."""

    def __init__(self, sessions: Collection[dict[str, Any]]) -> None:
        self._sessions = sessions
        self._has_index = False

    def add(self, session: LivenessSession, most: int) -> None:
        """Store a session; see `EmployeeStore.open_session`."""
        if not self._has_index:
            self._sessions.create_index("until", expireAfterSeconds=0)
            self._sessions.create_index("owner")
            self._has_index = True
        # Writers do not wait for each other, so a few more than `most` may be open.
        if (count := self._sessions.count_documents({"owner": session.owner})) >= most:
            raise TooManySessions(f"{count} liveness sessions are open already")
        self._sessions.insert_one(
            {
                "_id": session.session_id,
                "challenge": session.challenge,
                "owner": session.owner,
                "until": datetime.fromtimestamp(session.until, UTC),
            }
        )

    def take(self, session_id: str, owner: str, now: float) -> LivenessSession | None:
        """Delete a session and return it; see `EmployeeStore.take_session`."""
        found = self._sessions.find_one_and_delete(
            {"_id": session_id, "owner": owner, "until": {"$gt": datetime.fromtimestamp(now, UTC)}}
        )
        if found is None:
            return None
        until = found["until"].replace(tzinfo=UTC).timestamp()
        return LivenessSession(session_id, found["challenge"], owner, until)
