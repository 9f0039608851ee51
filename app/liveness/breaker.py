"""A circuit breaker: stop calling a failing service, then try it once."""

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Blocks all calls for `pause_s` seconds after `failures` in a row, then allows one trial.

    If the trial succeeds, all calls are allowed again; if it fails, they are blocked for as long
    again. Not thread-safe. (pybreaker is maintained, but supports only calls that block.)
    """

    def __init__(
        self, failures: int, pause_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._blocked_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether all calls but trials are blocked."""
        return self._failures >= self._most

    def allows(self) -> bool:
        """Return whether a call may be made now. If so, its outcome must be noted."""
        if not self.is_open:
            return True
        if self._clock() < self._blocked_until:
            return False
        self._blocked_until = self._clock() + self._pause_s  # for all but this trial
        return True

    def note(self, reachable: bool) -> None:
        """Note the outcome of a call."""
        self._failures = 0 if reachable else self._failures + 1
        if self.is_open:
            self._blocked_until = self._clock() + self._pause_s
