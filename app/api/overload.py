"""Sum up in the log the requests that were refused for lack of room."""

from threading import Lock
from time import monotonic

import structlog

log = structlog.get_logger()

_EVERY_S = 10.0


class OverloadLog:
    """Logs the first refusal at once, and how many followed every 10 s. Thread-safe."""

    def __init__(self) -> None:
        self._refused = 0
        self._since = -_EVERY_S
        self._lock = Lock()

    def note(self, refused: bool) -> None:
        """Note the end of a request. It may be the first after the last refusal."""
        with self._lock:
            self._refused += refused
            now = monotonic()
            if not self._refused or now - self._since < _EVERY_S:
                return
            count, self._refused, self._since = self._refused, 0, now
        log.warning("overloaded: logins or enrolments were refused", refused=count)
