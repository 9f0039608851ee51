"""Notices work that has stopped for ever, and ends the process so that another takes its place."""

import math
import os
import signal
import time
from collections.abc import Callable
from threading import Event, Thread

import structlog

from app.recognition.limiter import Limiter

log = structlog.get_logger()

_TICKS = 12  # in which the patience with a turn passes
_BLOCKED = 1 / 6  # of the patience, after which those who are inside let nobody else in

_Held = tuple[Limiter, int]


def end_process(grace_s: float = 25.0) -> None:
    """End this process in good order, or after `grace_s` in any case."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)  # the server gives other requests 15 s
    os._exit(1)  # Python waits for all threads at the end, also for one that never ends


class Watchdog:
    """Watches the turns in which pictures are looked at, and the places of whole requests.

    Inference runs in native code, which nothing in Python can interrupt: a turn that never ends is
    lost until the process ends. What counts is the time that this thread itself was awake for: if
    the whole process is suspended, or a clock jumps, nobody has had time to work.

    patience_s: how long a turn may take, far longer than the slowest honest picture.
    end: ends the process; called once.
    """

    def __init__(
        self,
        turns: Limiter,
        patience_s: float = 60.0,
        end: Callable[[], None] = end_process,
    ) -> None:
        self._patience_s = {turns: patience_s}
        self._end = end
        self._tick_s = patience_s / _TICKS
        self._awake_s = 0.0
        self._seen: dict[_Held, float] = {}  # when each was first seen, in time awake
        self._stop = Event()

    def start(self) -> None:
        """Watch from now on, in a thread."""
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def watch(self, places: Limiter, patience_s: float) -> None:
        """Watch these as well."""
        self._patience_s = {**self._patience_s, places: patience_s}

    @property
    def is_stuck(self) -> bool:
        """Something has been going on for so long that the process must be replaced."""
        return any(self._count(limiter, 1) for limiter in self._patience_s)

    @property
    def is_blocked(self) -> bool:
        """No turn or no place has been free for long, so that no login can be answered."""
        return any(
            self._count(limiter, _BLOCKED) >= limiter.at_once for limiter in self._patience_s
        )

    def _count(self, limiter: Limiter, share: float) -> int:
        """How many have been inside for that share of the patience."""
        since = self._awake_s - share * self._patience_s[limiter]
        seen = self._seen
        return sum(seen.get((limiter, number), math.inf) <= since for number in limiter.held())

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._tick_s):
            now = time.monotonic()
            self._awake_s += min(now - last, 2 * self._tick_s)
            last = now
            held = [(limiter, n) for limiter in self._patience_s for n in limiter.held()]
            self._seen = {each: self._seen.get(each, self._awake_s) for each in held}
            if self.is_stuck:
                log.critical(
                    "something has been going on for too long: "
                    "this process ends, so that another takes its place",
                    longest_s=round(self._awake_s - min(self._seen.values())),
                )
                self._end()
                return
