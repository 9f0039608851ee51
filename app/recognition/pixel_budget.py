"""Bound the pixels that decoders hold at once."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from app.limiter import Overloaded


class PixelBudget:
    """The pixels that may be in decoders at once, handed out first come, first served.

    patience_s: how long to wait for a share.
    """

    def __init__(self, pixels: float, patience_s: float = 2.0) -> None:
        self._total = self._free = pixels
        self._patience_s = patience_s
        self._queue: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def share(self, pixels: float) -> Iterator[None]:
        """Hold `pixels` of the budget, or all of it if `pixels` exceeds it. Raises Overloaded."""
        pixels, ticket = min(pixels, self._total), object()
        with self._changed:
            self._queue.append(ticket)
            try:
                if not self._changed.wait_for(
                    lambda: self._queue[0] is ticket and pixels <= self._free, self._patience_s
                ):
                    raise Overloaded
                self._free -= pixels
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
