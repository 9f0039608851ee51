"""Bounds the work in flight, so that overload slows nobody down who is inside."""

from collections.abc import Callable
from functools import wraps
from threading import Semaphore
from typing import ParamSpec, TypeVar

from flask import request

P = ParamSpec("P")
R = TypeVar("R")


class Overloaded(Exception):
    """Too many requests are waiting already."""


class Limiter:
    """Decorates views: `at_once` requests are inside together, `waiting` more wait their turn.

    A request beyond that raises Overloaded, at once.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._inside = Semaphore(at_once)
        self._admitted = Semaphore(at_once + waiting)

    def __call__(self, view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            request.get_data()  # whoever sends slowly must not hold a place meanwhile
            if not self._admitted.acquire(blocking=False):
                raise Overloaded
            try:
                with self._inside:
                    return view(*args, **kwargs)
            finally:
                self._admitted.release()

        return limited
