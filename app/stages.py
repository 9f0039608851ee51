"""Measure how long a request spends in each of its stages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Stage(NamedTuple):
    """A stretch of a request, in seconds. began: on the clock of time.perf_counter."""

    name: str
    began: float
    seconds: float


# The stages of the current request. A coroutine that the request starts writes here, too.
_passed: ContextVar[list[Stage]] = ContextVar("passed")


def begin() -> None:
    """Forget what was measured. Call this when a request begins."""
    _passed.set([])


def passed() -> list[Stage]:
    """Return the stages of the current request that have ended so far."""
    return [*_passed.get([])]


def spent(stages: list[Stage]) -> dict[str, float]:
    """Return the seconds of each stage, which may have been passed several times."""
    seconds: dict[str, float] = {}
    for stage in stages:
        seconds[stage.name] = seconds.get(stage.name, 0.0) + stage.seconds
    return seconds


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time that the block takes to a stage of the current request."""
    began = time.perf_counter()
    try:
        yield
    finally:
        stages = _passed.get(None)
        if stages is not None:
            stages.append(Stage(name, began, time.perf_counter() - began))
