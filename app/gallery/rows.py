"""Numbered rows of vectors: what the index needs of them, and the plain way to hold them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
RowNumbers = NDArray[np.intp]

_EXACT_FINALISTS = 64


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes at which the search changes, all in rows.

    exact: more vectors than these are searched by codes.
    block: the rows of codes that memory is asked for, and scanned, at a time. Temporary numbers
        of one block, eight bytes a row, should fit a core's cache.
    finalists: the least that codes leave over for the comparison of numbers.
    """

    exact: int = 16_384
    block: int = 65_536
    finalists: int = 1_024


class Rows(Protocol):
    """Rows keep no owners and take no lock. All row numbers are in ascending order."""

    def finalists(self, count: int) -> int:
        """How many candidates among `count` rows are enough, as a rule."""

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        """Set rows to vectors (n, dimension)."""

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        """Copy rows onto as many others."""

    def wipe(self, rows: RowNumbers) -> None:
        """Leave nothing of what the rows held."""

    def candidates(self, probe: Vectors, count: int, wanted: int) -> RowNumbers:
        """About `wanted` of the first `count` rows, likely to be those nearest to the probe."""

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        """(n,) cos(row, probe), as exactly as the rows are held."""


class ExactRows:
    """float32 rows, all compared with the probe: four bytes a number."""

    # np.vecdot rather than `@`: BLAS would start threads of its own for each search, and many
    # searches at once are spread over the cores by the threads that they come from.

    def __init__(self, dimension: int, most: int) -> None:
        self._vectors = np.zeros((most, dimension), np.float32)

    def finalists(self, count: int) -> int:
        return min(count, _EXACT_FINALISTS)

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        self._vectors[rows] = vectors

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        self._vectors[targets] = self._vectors[sources]

    def wipe(self, rows: RowNumbers) -> None:
        self._vectors[rows] = 0

    def candidates(self, probe: Vectors, count: int, wanted: int) -> RowNumbers:
        if wanted >= count:
            return np.arange(count)
        similarity = np.vecdot(self._vectors[:count], probe)
        return np.sort(np.argpartition(similarity, count - wanted)[count - wanted :])

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        similarity: Vectors = np.vecdot(self._vectors[rows], probe)
        return similarity

    def first(self, count: int) -> Vectors:
        """The first `count` rows, (count, dimension)."""
        return self._vectors[:count]
