"""Bounds the work in flight, so that overload slows nobody down who is inside."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Condition, Lock, get_ident


class Overloaded(Exception):
    """There is no room now."""


class Limiter:
    """A context that `at_once` threads are inside together; more wait in line, but not for long.

    Who leaves lets in the first in line, so that nobody who comes again and again, as an enrolment
    of many photos does, overtakes who waits. Entering raises Overloaded after `patience_s`.
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
    """The pixels that may be in decoders at once, shared by all who decode.

    patience_s: how long a share is waited for.
    """

    def __init__(self, pixels: float, patience_s: float = 2.0) -> None:
        self._most = self._left = pixels
        self._patience_s = patience_s
        self._given_back = Condition()

    @contextmanager
    def share(self, pixels: float) -> Iterator[None]:
        """Hold that many pixels; more than there are is all of them. Raises Overloaded."""
        pixels = min(pixels, self._most)
        with self._given_back:
            if not self._given_back.wait_for(lambda: pixels <= self._left, self._patience_s):
                raise Overloaded
            self._left -= pixels
        try:
            yield
        finally:
            with self._given_back:
                self._left += pixels
                self._given_back.notify_all()
