"""Measure how long a request spends in each of its stages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Seconds by stage of the current request. A coroutine that the request starts writes here, too.
_spent: ContextVar[dict[str, float]] = ContextVar("spent")


def begin() -> None:
    """Forget what was measured. Call this when a request begins."""
    _spent.set({})


def spent() -> dict[str, float]:
    """Return the seconds that the current request has spent in each stage so far."""
    return dict(_spent.get({}))


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time that the block takes to a stage of the current request."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds = _spent.get(None)
        if seconds is not None:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
