"""Find the employee nearest to a feature vector.

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
    """The index did not answer in time, or refused. The message says why, without secrets."""


class GalleryLoading(Exception):
    """The whole store is being read, and nobody can be found until that is done."""


class Gallery(Protocol):
    """Finds the nearest employee; implemented in `memory_gallery` and `shared_gallery`.

    All methods may raise StoreUnavailable, IndexUnavailable and GalleryLoading.
    """

    def __len__(self) -> int:
        """Return the approximate number of employees who can be found."""

    def load(self) -> None:
        """Prepare to find employees. Must be called once, before any other method."""

    def catch_up(self) -> None:
        """Bring what has changed in the store into the index."""

    def check_ready(self) -> None:
        """Return if a login can be answered; raise otherwise."""

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """Return the nearest employee and their distance; None if the gallery is empty.

        probe: (dimension,) float32 of unit length.
        """

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """Return a context manager around a store write; on exit the index matches the store."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexEntry:
    """One feature vector of one enrolment in a shared index.

    Entries are added and removed, but never changed.

    name: unique among all vectors of all enrolments. vector: (dimension,), of unit length.
    """

    name: str
    employee_id: int
    vector: NDArray[np.float32]


class SharedIndex(Protocol):
    """An index that all processes share.

    All methods are thread-safe and may raise IndexUnavailable. A search finds every entry that
    any process put before the search began.

    dimension: the length of the vectors.
    """

    dimension: int

    def prepare(self) -> None:
        """Create the index if it does not exist."""

    def is_complete(self) -> bool:
        """Return whether the index has been marked as complete; a new index is not."""

    def mark_complete(self) -> None:
        """Record that the index holds every employee in the store."""

    def put(self, entries: Sequence[IndexEntry]) -> None:
        """Add entries; overwrite the vectors of entries that exist."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove entries; ignore unknown names."""

    def entries_of(self, employee_ids: Sequence[int]) -> list[IndexEntry]:
        """Return all entries of these employees."""

    def entries_between(self, after: int, last: int) -> Iterator[IndexEntry]:
        """Yield the entries of employees with after < id ≤ last, in any order."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[tuple[str, int]]:
        """Return the names and employee ids of the `count` nearest entries, nearest first."""

    def flush(self) -> None:
        """Index the entries put so far now rather than later."""

    def __len__(self) -> int:
        """Return the number of entries."""


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
