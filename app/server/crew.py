"""What the workers of a service know of each other: which of them start, are ready, or leave."""

import mmap
from enum import IntEnum

_MOST = mmap.PAGESIZE  # workers; the number of one that ended this long ago is used again


class State(IntEnum):
    """What a worker does for new clients."""

    GONE = 0
    STARTING = 1
    READY = 2
    LEAVING = 3


class Crew:
    """The states of all workers, in memory that they share: make it before they fork.

    Workers are numbered as gunicorn does, from one on in the order of their start (`age`).
    """

    def __init__(self) -> None:
        self._states = mmap.mmap(-1, _MOST)

    def note(self, worker: int, state: State) -> None:
        """Note the state of a worker."""
        self._states[worker % _MOST] = state

    def another_is(self, state: State, worker: int) -> bool:
        """Return whether any worker but this one is in a state."""
        states = bytearray(self._states[:])
        states[worker % _MOST] = State.GONE
        return state in states
