"""Notice work that is stuck, and end the process so that another takes its place."""

import math
import os
import signal
import time
from collections.abc import Callable
from threading import Event, Thread

import structlog

from app.limiter import Limiter

log = structlog.get_logger()

_TICKS = 12  # checks within the time after which a slot counts as stuck
_BLOCKED = 1 / 6  # share of that time after which a limiter without a free slot is blocked

_Held = tuple[Limiter, int]


def end_process(grace_s: float) -> None:
    """End this process gracefully, or forcibly after `grace_s`."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)  # for the requests that are not stuck
    os._exit(1)  # a normal exit would wait for the stuck thread


class Watchdog:
    """Watches the slots in which pictures are processed, and those of whole requests.

    Inference runs in native code, which Python cannot interrupt, so a slot whose work never ends is
    lost until the process ends. Count only the time this thread was awake, so that a suspended
    process or a clock jump makes nothing look late.

    slots: the recogniser's. longest_s: how long one picture may take, far longer than any honest
    picture does. end: ends the process; called once.
    """

    def __init__(
        self,
        slots: Limiter,
        longest_s: float = 60.0,
        *,
        end: Callable[[], None],
    ) -> None:
        self.slots = slots
        self._longest_s = {slots: longest_s}
        self._end = end
        self._tick_s = longest_s / _TICKS
        self._awake_s = 0.0
        self._seen: dict[_Held, float] = {}  # time awake at which each was first seen
        self._stop = Event()

    def start(self) -> None:
        """Watch from now on, in a thread."""
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def watch(self, slots: Limiter, longest_s: float) -> None:
        """Watch these slots as well."""
        self._longest_s = {**self._longest_s, slots: longest_s}

    @property
    def is_stuck(self) -> bool:
        """Whether a slot has been held for so long that the process must be replaced."""
        return any(self._count(limiter, 1) for limiter in self._longest_s)

    @property
    def is_blocked(self) -> bool:
        """Whether all slots of a limiter have been held for so long that no login gets in."""
        return any(self._count(limiter, _BLOCKED) >= limiter.slots for limiter in self._longest_s)

    def _count(self, limiter: Limiter, share: float) -> int:
        """Return how many slots have been held for this share of the longest time."""
        since = self._awake_s - share * self._longest_s[limiter]
        seen = self._seen
        return sum(seen.get((limiter, number), math.inf) <= since for number in limiter.held())

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._tick_s):
            now = time.monotonic()
            self._awake_s += min(now - last, 2 * self._tick_s)
            last = now
            held = [(limiter, n) for limiter in self._longest_s for n in limiter.held()]
            self._seen = {each: self._seen.get(each, self._awake_s) for each in held}
            if self.is_stuck:
                log.critical(
                    "a slot has been held too long: ending this process so that it is replaced",
                    longest_s=round(self._awake_s - min(self._seen.values())),
                )
                self._end()
                return
