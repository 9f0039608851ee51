"""Bound the pixels that decoders hold at once."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from app.limiter import Overloaded


class PixelBudget:
    """The pixels that may be in decoders at once, given out first come, first served.

    patience_s: how long a share is waited for.
    """

    def __init__(self, pixels: float, patience_s: float = 2.0) -> None:
        self._most = self._left = pixels
        self._patience_s = patience_s
        self._queue: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def share(self, pixels: float) -> Iterator[None]:
        """Hold that many pixels, or all if there are fewer. Raises Overloaded."""
        pixels, ticket = min(pixels, self._most), object()
        with self._changed:
            self._queue.append(ticket)
            try:
                if not self._changed.wait_for(
                    lambda: self._queue[0] is ticket and pixels <= self._left, self._patience_s
                ):
                    raise Overloaded
                self._left -= pixels
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()
