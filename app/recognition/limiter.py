"""Bounds the work in flight, so that overload does not slow down what is under way."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Condition, Lock, get_ident


class Overloaded(Exception):
    """There is no room now."""


class Limiter:
    """A context that `at_once` threads are inside together; more wait in line, but not for long.

    Whenever a thread leaves, the first in line enters. So an enrolment of many photos, which enters
    again and again, overtakes nobody. Entering raises Overloaded after `patience_s`.
    """

    def __init__(self, at_once: int, patience_s: float = 2.0) -> None:
        self.at_once = at_once
        self._free = at_once
        self._numbers = count()
        self._held: list[tuple[int, int]] = []  # thread and number
        self._line: deque[Lock] = deque()  # each locked until its owner is let in
        self._lock = Lock()
        self._patience_s = patience_s

    def __enter__(self) -> None:
        with self._lock:
            if self._free:  # then nobody is in line
                self._free -= 1
                self._note()
                return
            mine = Lock()
            mine.acquire()
            self._line.append(mine)
        if not mine.acquire(timeout=self._patience_s):
            with self._lock:
                if mine in self._line:
                    self._line.remove(mine)
                    raise Overloaded
            # let in at the last moment
        with self._lock:
            self._note()

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            mine = next(held for held in reversed(self._held) if held[0] == get_ident())
            self._held.remove(mine)
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1

    def held(self) -> list[int]:
        """The numbers of those who are inside; each has one of its own."""
        with self._lock:
            return [number for _, number in self._held]

    def _note(self) -> None:
        self._held.append((get_ident(), next(self._numbers)))


class PixelBudget:
    """The pixels that may be in decoders at once, given out first come, first served.

    patience_s: how long a share is waited for.
    """

    def __init__(self, pixels: float, patience_s: float = 2.0) -> None:
        self._most = self._left = pixels
        self._patience_s = patience_s
        self._line: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def share(self, pixels: float) -> Iterator[None]:
        """Hold that many pixels; more than there are is all of them. Raises Overloaded."""
        pixels, mine = min(pixels, self._most), object()
        with self._changed:
            self._line.append(mine)
            try:
                if not self._changed.wait_for(
                    lambda: self._line[0] is mine and pixels <= self._left, self._patience_s
                ):
                    raise Overloaded
                self._left -= pixels
            finally:
                self._line.remove(mine)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()
