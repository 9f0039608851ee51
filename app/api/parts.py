"""The state of each part of this worker, and for how long it has been in it."""

from collections.abc import Mapping
from threading import Lock
from time import monotonic

from app.audit import AuditUnavailable
from app.gallery import GalleryLoading
from app.readiness import NotReady, reason

PARTS = ("model", "database", "index", "slots", "audit_log", "liveness")


class Parts:
    """What `/readyz` has found each time it was asked. Thread-safe.

    A state is `ok`, `off`, `failing`, or `unknown` if the part has not been tried yet.
    """

    def __init__(self) -> None:
        now = monotonic()
        self._since = dict.fromkeys(PARTS, ("unknown", now))
        self._lock = Lock()

    def note(self, states: Mapping[str, str]) -> None:
        """Note the states of these parts now."""
        with self._lock:
            now = monotonic()
            for part, state in states.items():
                if self._since[part][0] != state:
                    self._since[part] = state, now

    def listed(self) -> dict[str, dict[str, object]]:
        """Return the state of each part, and its age in seconds."""
        now = monotonic()
        return {
            part: {"state": state, "age_s": round(now - since, 1)}
            for part, (state, since) in self._since.items()
        }


def failing(error: Exception) -> dict[str, str]:
    """Return the state of the part that an error comes from; of none if nothing fails."""
    match error:
        case NotReady():
            part = error.part
        case GalleryLoading():
            part = "index"
        case AuditUnavailable():
            part = "audit_log"
        case _:
            part = reason(error).part
    return {part: "failing"} if part else {}
