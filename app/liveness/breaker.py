"""A circuit breaker: whom nobody can reach is left alone for a while."""

from collections.abc import Callable
from time import monotonic


class Breaker:
    """After `failures` in a row it allows nothing for `pause_s` seconds, and then one trial.

    The trial's outcome decides whether everything is allowed again or nothing for as long. For one
    thread. pybreaker, which is maintained, wraps calls that block; for an event loop this suffices.
    """

    def __init__(
        self, failures: int, pause_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0

    def allows(self) -> bool:
        """May somebody try now? Who may must `note` the outcome."""
        if self._failures < self._most:
            return True
        if self._clock() < self._closed_until:
            return False
        self._closed_until = self._clock() + self._pause_s  # for everybody but this trial
        return True

    def note(self, reachable: bool) -> None:
        """What came of a try."""
        self._failures = 0 if reachable else self._failures + 1
        if self._failures >= self._most:
            self._closed_until = self._clock() + self._pause_s
