"""Limit the bytes that a worker holds at once for its clients."""

from threading import Lock


class Budget:
    """The bytes that a worker may hold at once. Thread-safe."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._lock = Lock()

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return self.size - self._free

    def take(self, size: int) -> bool:
        """Take bytes from the budget; return False if too few are free."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give_back(self, size: int) -> None:
        """Return bytes to the budget."""
        with self._lock:
            self._free += size


class Reservation:
    """The bytes that one request has taken from a budget. Leaving the context releases them."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> bool:
        """Reserve more bytes; return False if too few are free."""
        if not self._budget.take(size):
            return False
        self.size += size
        return True

    def release(self) -> None:
        """Give all bytes back to the budget."""
        self._budget.give_back(self.size)
        self.size = 0

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()
