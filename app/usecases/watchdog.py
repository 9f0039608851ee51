"""Notices work that has stopped for ever, and ends the process so that another takes its place."""

import os
import signal
import time
from collections.abc import Callable
from threading import Event, Thread

import structlog

from app.recognition.limiter import Limiter

log = structlog.get_logger()

_TICKS = 12  # in which the patience passes


def end_process(grace_s: float = 25.0) -> None:
    """End this process in good order, or after `grace_s` in any case."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)  # the server gives other requests 15 s
    os._exit(1)  # Python waits for all threads at the end, also for one that never ends


class Watchdog:
    """Watches the turns in which pictures are looked at.

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
        self._turns = turns
        self._patience_s = patience_s
        self._end = end
        self._tick_s = patience_s / _TICKS
        self._awake_s = 0.0
        self._seen: dict[int, float] = {}  # when each turn was first seen, in time awake
        self._stop = Event()

    def start(self) -> None:
        """Watch from now on, in a thread."""
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    @property
    def is_stuck(self) -> bool:
        """A turn has been held for so long that the process must be replaced."""
        return self._count(self._patience_s) > 0

    @property
    def is_blocked(self) -> bool:
        """No turn has been free for long, so that no picture can be looked at."""
        return self._count(2 * self._tick_s) >= self._turns.at_once

    def _count(self, for_s: float) -> int:
        """How many turns have been held for so long."""
        held = set(self._turns.held())
        seen = self._seen.items()
        return sum(number in held and self._awake_s - since >= for_s for number, since in seen)

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._tick_s):
            now = time.monotonic()
            self._awake_s += min(now - last, 2 * self._tick_s)
            last = now
            held = self._turns.held()
            self._seen = {number: self._seen.get(number, self._awake_s) for number in held}
            if stuck := self._count(self._patience_s):
                log.critical(
                    "pictures have been looked at for too long: "
                    "this process ends, so that another takes its place",
                    pictures=stuck,
                    seconds=self._patience_s,
                )
                self._end()
                return
