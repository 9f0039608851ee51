"""Numbers that the workers of the service count together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from mmap import mmap
from tempfile import TemporaryFile
from threading import Lock

import numpy as np
from numpy.typing import NDArray

_COLUMNS = 2048  # numbers of a worker: 16 kB
_BYTES = 8  # of a number


class Cells:
    """Numbers in memory that the workers inherit when they are forked. Thread-safe.

    Each worker adds to a row of its own, so no lock is shared by processes. What a worker has
    counted stays when it ends, and its row goes to a later one.

    rows: how many workers there may be at once, those included that replace others.
    """

    def __init__(self, rows: int = 1) -> None:
        memory = mmap(-1, rows * _COLUMNS * _BYTES)
        self._rows = np.frombuffer(memory, np.float64).reshape(rows, _COLUMNS)
        self._row = self._rows[0]
        # Holds no data. The owner of row n has a lock on byte n, which ends with the process. The
        # byte after the last row's is locked by whoever looks for rows without an owner.
        self._owners = TemporaryFile()  # noqa: SIM115
        self._reserved = 0
        self._levels: list[int] = []  # columns of numbers that fall as well as rise
        self._lock = Lock()

    def reserve(self, columns: int, *, is_level: bool = False) -> int:
        """Return the first of so many new columns. All processes must reserve the same ones.

        is_level: the numbers rise and fall; those of a worker that has died are set to 0.
        """
        first, self._reserved = self._reserved, self._reserved + columns
        if self._reserved > _COLUMNS:
            raise ValueError(f"more than {_COLUMNS} numbers")
        if is_level:
            self._levels += range(first, self._reserved)
        return first

    def claim_row(self) -> None:
        """Use a row that no living process has, from now on. If all are taken, share the last one.

        Call this once in each worker.
        """
        with self._without_owner() as free:
            self._row = self._rows[free.pop(0) if free else -1]

    def clear_dead(self) -> None:
        """Set the levels of rows that no living process has to 0."""
        with self._without_owner():
            pass

    def add(self, amounts: dict[int, float]) -> None:
        """Add to the numbers in these columns."""
        with self._lock:
            for column, amount in amounts.items():
                self._row[column] += amount

    def put(self, first: int, numbers: Sequence[float]) -> None:
        """Put these numbers in place of those from this column on."""
        with self._lock:
            self._row[first : first + len(numbers)] = numbers

    def of_each(self, first: int, columns: int) -> NDArray[np.float64]:
        """Return a copy of the numbers in these columns, (rows, columns)."""
        return self._rows[:, first : first + columns].copy()

    def totals(self, first: int, columns: int) -> NDArray[np.float64]:
        """Return the sums over all workers of the numbers in these columns."""
        return np.asarray(self._rows[:, first : first + columns].sum(axis=0))

    @contextmanager
    def _without_owner(self) -> Iterator[list[int]]:
        """Yield the rows that no living process has, their levels set to 0, and own them.

        Rows that are still in the list at the end have no owner again.
        """
        lockf(self._owners, LOCK_EX, 1, len(self._rows))
        free = [number for number in range(len(self._rows)) if self._lock_row(number)]
        for number in free:
            self._rows[number, self._levels] = 0
        yield free
        for number in (*free, len(self._rows)):
            lockf(self._owners, LOCK_UN, 1, number)

    def _lock_row(self, number: int) -> bool:
        try:
            lockf(self._owners, LOCK_EX | LOCK_NB, 1, number)
        except OSError:
            return False
        return True
