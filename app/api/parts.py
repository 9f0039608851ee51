"""The state of each part of this worker, and for how long it has been in it."""

from collections.abc import Mapping
from threading import Lock
from time import monotonic

from app.audit import AuditLog, AuditUnavailable
from app.gallery import GalleryLoading, IndexUnavailable
from app.lifecycle import Service
from app.liveness.client import LivenessClient
from app.readiness import NotReady, reason
from app.storage import StoreUnavailable

UNREADY = (NotReady, GalleryLoading, StoreUnavailable, IndexUnavailable, AuditUnavailable)
PARTS = ("model", "database", "index", "slots", "audit_log", "liveness")


class Parts:
    """What has been found each time it was asked. Thread-safe.

    A state is `ok`, `off`, `failing`, or `unknown` if the part has not been tried yet.
    """

    def __init__(self, service: Service, audit: AuditLog, liveness: LivenessClient) -> None:
        self._service = service
        self._audit = audit
        self._liveness = liveness
        now = monotonic()
        self._since = dict.fromkeys(PARTS, ("unknown", now))
        self._lock = Lock()

    def check(self) -> None:
        """Try what a login needs, and note the states. Raises one of UNREADY, for what fails."""
        self._note({"liveness": self._liveness.state})
        try:
            self._service.check_ready()
            self._note(dict.fromkeys(("model", "database", "index", "slots"), "ok"))
            self._audit.check()
        except UNREADY as error:
            self._note(_failing(error))
            raise
        self._note({"audit_log": "ok" if self._audit.is_kept else "off"})

    def _note(self, states: Mapping[str, str]) -> None:
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


def _failing(error: Exception) -> dict[str, str]:
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
