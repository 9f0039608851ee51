"""Bounds the work in flight, so that overload slows nobody down who is inside."""

from threading import Semaphore


class Overloaded(Exception):
    """Too many are waiting already."""


class Limiter:
    """A context that `at_once` threads are inside together, while `waiting` more wait their turn.

    Entering raises Overloaded, at once, where that many wait.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._inside = Semaphore(at_once)
        self._admitted = Semaphore(at_once + waiting)

    def __enter__(self) -> None:
        if not self._admitted.acquire(blocking=False):
            raise Overloaded
        self._inside.acquire()

    def __exit__(self, *raised: object) -> None:
        self._inside.release()
        self._admitted.release()
