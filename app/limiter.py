"""Bound the work in flight, so that overload does not slow down what is already running."""

from collections import deque
from itertools import count
from threading import Lock, get_ident


class Overloaded(Exception):
    """All slots are taken."""


_PAGES_IN_MEMORY = 2  # each may take 300 MB


class Limiter:
    """A context manager with admission slots; threads without a slot wait in a queue.

    A freed slot goes to the longest waiter. So an enrolment of many photos, which enters again and
    again, overtakes nobody. Entering raises Overloaded after `patience_s`.
    """

    def __init__(self, slots: int, patience_s: float = 2.0) -> None:
        self.slots = slots
        self._free = slots
        self._numbers = count()
        self._held: list[tuple[int, int]] = []  # thread and number
        self._queue: deque[Lock] = deque()  # each is locked until its owner gets a slot
        self._lock = Lock()
        self._patience_s = patience_s

    def __enter__(self) -> None:
        with self._lock:
            if self._free:  # then the queue is empty
                self._free -= 1
                self._note()
                return
            ticket = Lock()
            ticket.acquire()
            self._queue.append(ticket)
        if not ticket.acquire(timeout=self._patience_s):
            with self._lock:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                    raise Overloaded
            # The slot became free at the last moment.
        with self._lock:
            self._note()

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            mine = next(held for held in reversed(self._held) if held[0] == get_ident())
            self._held.remove(mine)
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1

    def held(self) -> list[int]:
        """Return a number for each slot in use; each use of a slot has its own number."""
        with self._lock:
            return [number for _, number in self._held]

    @property
    def used(self) -> int:
        """How many slots are in use."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """How many threads wait for a slot."""
        return len(self._queue)

    def _note(self) -> None:
        self._held.append((get_ident(), next(self._numbers)))


class Pages:
    """A context manager for a page of employees, which takes memory and time.

    Few pages are read at once, and some wait; entering raises Overloaded if more would wait than
    `listings`, so that logins have threads left.
    """

    def __init__(self, listings: int) -> None:
        self._accepted = Limiter(listings, patience_s=0)
        self._in_memory = Limiter(_PAGES_IN_MEMORY)

    def __enter__(self) -> None:
        self._accepted.__enter__()
        try:
            self._in_memory.__enter__()
        except Overloaded:
            self._accepted.__exit__()
            raise

    def __exit__(self, *raised: object) -> None:
        self._in_memory.__exit__()
        self._accepted.__exit__()
