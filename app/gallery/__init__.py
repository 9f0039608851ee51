"""Find the employee nearest to a feature vector.

An index only proposes candidates; the answer is computed from the records that the store holds.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.gallery.distances import COMPARED
from app.storage import Employee

T = TypeVar("T")

NEEDED = COMPARED + 1
"""One more employee than decide a login, so that one can be left out."""


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

    def nearest_people(
        self, probe: NDArray[np.float32], groups: frozenset[str] | None = None, least: int = NEEDED
    ) -> list[tuple[Employee, float]]:
        """Return the nearest employees and their plain distances, nearest first.

        probe: (dimension,) float32 of unit length. groups: search only people who are in one of
        them. least: how many to return, if there are so many; a few more may be returned.
        """

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """Return a context manager around a store write; on exit the index matches the store."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexEntry:
    """One feature vector of one enrolment in a shared index. Added and removed, never changed."""

    name: str  # unique among all vectors of all enrolments
    employee_id: int
    vector: NDArray[np.float32]  # (dimension,), of unit length


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
