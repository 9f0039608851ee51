"""Numbered rows of vectors: their interface, and the simple implementation."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
RowNumbers = NDArray[np.intp]

_EXACT_FINALISTS = 64  # few are enough, because float32 rows are ranked exactly


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that control the search, all in rows."""

    exact: int = 16_384  # galleries with more vectors than this are searched by codes
    # Rows of codes that are allocated, and scanned, at a time. The temporary array of one block,
    # eight bytes per row, should fit into a core's cache.
    block: int = 65_536
    finalists: int = 1_024  # the fewest rows that a search by codes ranks by their vectors


class Rows(Protocol):
    """Rows of vectors, without owners and without a lock.

    Row numbers are passed and returned in ascending order.
    """

    def finalists(self, count: int) -> int:
        """Return how many candidates among `count` rows are usually enough."""

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        """Set rows to vectors, (n, dimension)."""

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        """Copy the rows `sources` to the rows `targets`."""

    def wipe(self, rows: RowNumbers) -> None:
        """Overwrite the content of rows with zeros."""

    def candidates(
        self, probe: Vectors, count: int, wanted: int, eligible: RowNumbers | None = None
    ) -> RowNumbers:
        """Return about `wanted` of the first `count` rows, probably those nearest to the probe.

        eligible: the rows to choose from, all of them among the first `count`; by default, all.
        """

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        """Return cos(row, probe), (n,), as precisely as the rows are stored."""


class ExactRows:
    """Rows of float32, four bytes per number. A search compares all of them with the probe."""

    # np.vecdot rather than `@`, because BLAS would start threads of its own for each search, while
    # the threads of concurrent searches already use all cores.

    def __init__(self, dimension: int, capacity: int) -> None:
        self._vectors = np.zeros((capacity, dimension), np.float32)

    def finalists(self, count: int) -> int:
        return min(count, _EXACT_FINALISTS)

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        self._vectors[rows] = vectors

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        self._vectors[targets] = self._vectors[sources]

    def wipe(self, rows: RowNumbers) -> None:
        self._vectors[rows] = 0

    def candidates(
        self, probe: Vectors, count: int, wanted: int, eligible: RowNumbers | None = None
    ) -> RowNumbers:
        rows = np.arange(count) if eligible is None else eligible
        if wanted >= len(rows):
            return rows
        vectors = self._vectors[:count] if eligible is None else self._vectors[eligible]
        similarity = np.vecdot(vectors, probe)
        return rows[np.sort(np.argpartition(similarity, -wanted)[-wanted:])]

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        similarity: Vectors = np.vecdot(self._vectors[rows], probe)
        return similarity

    def first(self, count: int) -> Vectors:
        """Return the first `count` rows, (count, dimension)."""
        return self._vectors[:count]
