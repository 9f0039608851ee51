"""Wait for what happens in another thread or process."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

Answer = TypeVar("Answer")

_POLL_S = 0.02


def eventually(ask: Callable[[], Answer], timeout_s: float = 10.0) -> Answer:
    """The first answer that is true. Fail if none comes in time."""
    deadline = monotonic() + timeout_s
    while not (answer := ask()):
        assert monotonic() < deadline
        sleep(_POLL_S)
    return answer
