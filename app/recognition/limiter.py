"""Bounds the work in flight, so that overload slows nobody down who is inside."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Semaphore


class Overloaded(Exception):
    """There is no room now."""


class Limiter:
    """A context that `at_once` threads are inside together; more wait, but not for long.

    Entering raises Overloaded after `patience_s`.
    """

    def __init__(self, at_once: int, patience_s: float = 2.0) -> None:
        self._inside = Semaphore(at_once)
        self._patience_s = patience_s

    def __enter__(self) -> None:
        if not self._inside.acquire(timeout=self._patience_s):
            raise Overloaded

    def __exit__(self, *raised: object) -> None:
        self._inside.release()


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
