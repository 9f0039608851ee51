"""Feature vectors → the nearest employees. An index only proposes; the store's records decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class GalleryIndex(Protocol):
    """Searches the gallery. All methods are thread-safe.

    A search that overlaps an update may still propose what the update took away, but never misses
    an employee who is in the index before and after it.

    dimension: the length of its vectors.
    """

    dimension: int

    def put(self, owners: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add employees, or replace all of their vectors; best some thousand vectors a call.

        owners: (n,) the employee id of each vector. vectors: (n, dimension) of unit length.
        """

    def remove(self, employee_ids: Sequence[int]) -> None:
        """Forget employees; unknown ones are passed over."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[int]:
        """The `count` employees nearest to the probe (dimension,), the nearest first."""

    def employees(self) -> list[int]:
        """The ids of all employees in the index."""

    def __len__(self) -> int:
        """How many employees are in the index."""


class IndexUnavailable(Exception):
    """The index did not answer in time, or refused; the message says so without secrets."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One feature vector of one enrolment; never changed, only added and taken away.

    name: unlike that of any other vector of any enrolment. vector: (dimension,) of unit length.
    """

    name: str
    employee_id: int
    vector: NDArray[np.float32]


class SharedIndex(Protocol):
    """Rows that all processes search. All methods are thread-safe and may raise IndexUnavailable.

    What one process has put is found by every search that starts afterwards, in any process.

    dimension: the length of its vectors.
    """

    dimension: int

    def prepare(self) -> None:
        """Make the index where it is missing."""

    def is_complete(self) -> bool:
        """Whether it has held everyone in the store once: an index that is new has not."""

    def mark_complete(self) -> None:
        """Remember that it holds everyone."""

    def put(self, rows: Sequence[Row]) -> None:
        """Add rows; of those that are there already, set the vectors."""

    def remove(self, names: Sequence[str]) -> None:
        """Take rows away; unknown ones are passed over."""

    def rows_of(self, employee_ids: Sequence[int]) -> list[Row]:
        """All rows of these employees."""

    def rows_between(self, after: int, last: int) -> Iterator[Row]:
        """All rows of the employees from `after`, which is left out, to `last`, in any order."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[tuple[str, int]]:
        """Name and employee id of the `count` rows nearest to the probe, the nearest first."""

    def flush(self) -> None:
        """Let what was put be indexed now rather than some time."""

    def __len__(self) -> int:
        """How many rows there are."""
