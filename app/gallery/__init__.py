"""Feature vectors → the nearest employee.

An index only proposes candidates; the answer is computed from the records that the store holds.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee

T = TypeVar("T")


class IndexUnavailable(Exception):
    """The index did not answer in time, or refused; the message says so without secrets."""


class GalleryLoading(Exception):
    """The whole store is being read; until that is done nobody can be found."""


class Gallery(Protocol):
    """Find the nearest employee. `memory_gallery` and `shared_gallery` implement it.

    All methods may raise StoreUnavailable, IndexUnavailable and GalleryLoading.
    """

    def __len__(self) -> int:
        """Return about how many employees can be found."""

    def load(self) -> None:
        """Prepare to find employees; called once, before every other method."""

    def catch_up(self) -> None:
        """Bring what has changed in the store into the index."""

    def check_ready(self) -> None:
        """Return if a login can be answered."""

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """Return the nearest employee and their distance; None if the gallery is empty.

        probe: (dimension,) float32 of unit length.
        """

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """Return a context manager around a store write; on exit the index matches the store."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexEntry:
    """One feature vector of one enrolment in a shared index. Never changed, only added and removed.

    name: unique among all vectors of all enrolments. vector: (dimension,) of unit length.
    """

    name: str
    employee_id: int
    vector: NDArray[np.float32]


class SharedIndex(Protocol):
    """Entries that all processes search.

    All methods are thread-safe and may raise IndexUnavailable. A search finds every entry that
    any process put before the search began.

    dimension: the length of the vectors.
    """

    dimension: int

    def prepare(self) -> None:
        """Create the index if it does not exist."""

    def is_complete(self) -> bool:
        """Return whether the index has ever held everyone in the store; a new index has not."""

    def mark_complete(self) -> None:
        """Record that the index holds everyone."""

    def put(self, entries: Sequence[IndexEntry]) -> None:
        """Add entries; overwrite the vectors of entries that exist."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove entries; ignore unknown names."""

    def entries_of(self, employee_ids: Sequence[int]) -> list[IndexEntry]:
        """Return all entries of these employees."""

    def entries_between(self, after: int, last: int) -> Iterator[IndexEntry]:
        """Yield the entries of employees with after < id ≤ last, in any order."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[tuple[str, int]]:
        """Return name and employee id of the `count` nearest entries, nearest first."""

    def flush(self) -> None:
        """Index what was put now rather than later."""

    def __len__(self) -> int:
        """Return the number of entries."""


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
