"""An index in memory: rows of vectors, each with its owner, an employee."""

from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.gallery.quantised_rows import CodedRows
from app.gallery.rows import ExactRows, RowNumbers, Rows, Sizes, Vectors

_TOUCHED_KEPT = 4_096  # rows; a search during which more are touched starts over


class MemoryIndex:
    """Searches the vectors of one process: all of them exactly if they are few, otherwise by codes.

    All methods are thread-safe. A search that overlaps an update may still propose what the update
    removed, but never misses an employee who is in the index before and after it.

    Memory per vector: 4 × dimension + 8 bytes up to `sizes.exact` vectors, beyond that
    dimension + 76 bytes (588 at 512 dimensions, 204 at 128); and 40 to 70 bytes per employee.

    A search runs on the caller's thread, without the lock, while updates go on. Rows are dense: the
    last row takes the place of a removed one. Updates record the rows they touch, and a search ends
    by comparing again those touched meanwhile, so that it misses no row that moved.

    dimension: the length of the vectors.
    """

    def __init__(self, dimension: int, sizes: Sizes | None = None) -> None:
        self.dimension = dimension
        self._sizes = sizes or Sizes()
        self._rows: Rows = ExactRows(dimension, self._sizes.exact)
        self._owners = np.empty(1024, np.int64)
        self._count = 0
        self._employees: set[int] = set()
        self._touched: deque[int] = deque(maxlen=_TOUCHED_KEPT)
        self._touches = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of employees in the index."""
        return len(self._employees)

    def employees(self) -> list[int]:
        """Return the ids of all employees in the index."""
        with self._lock:
            return list(self._employees)

    def put(self, owners: NDArray[np.int64], vectors: Vectors) -> None:
        """Add employees, or replace all their vectors; best some thousand vectors at a time.

        owners: (n,), the employee id of each vector. vectors: (n, dimension), of unit length.
        """
        employees = set(owners.tolist())
        with self._lock:
            self._drop(self._employees & employees)
            self._make_room(vectors)
            rows = np.arange(self._count, self._count + len(vectors))
            self._rows.write(rows, vectors)
            self._owners[rows] = owners
            self._count += len(rows)
            self._employees |= employees
            self._touch(rows)

    def remove(self, employee_ids: Sequence[int]) -> None:
        """Remove employees; ignore unknown ones."""
        with self._lock:
            self._drop(self._employees & set(employee_ids))

    def nearest(
        self, probe: Vectors, count: int, among: NDArray[np.int64] | None = None
    ) -> list[int]:
        """Return the `count` employees nearest to the probe, (dimension,), nearest first.

        among: the ids to choose from, ascending; by default, everybody.
        """
        wanted = max(count, self._rows.finalists(self._count))
        while True:
            owners, available = self._search(probe, wanted, among)
            employees = list(dict.fromkeys(owners.tolist()))
            if len(employees) >= count or wanted >= available:
                return employees[:count]
            wanted *= 4  # some employees own several of the rows found

    def _search(
        self, probe: Vectors, wanted: int, among: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], int]:
        """Return the owners of about `wanted` rows, nearest first, and how many rows there are."""
        while True:
            with self._lock:
                rows, owners, count, touches = self._rows, self._owners, self._count, self._touches
            eligible = None if among is None else np.flatnonzero(_owned_by(among, owners[:count]))
            found = rows.candidates(probe, count, wanted, eligible)
            similarity, found_owners = rows.similarity(found, probe), owners[found]
            with self._lock:
                missed = self._touches - touches
                if missed > len(self._touched):
                    continue  # more rows were touched than are recorded
                if missed:
                    untouched = ~np.isin(found, again := self._last_touched(missed))
                    similarity = np.concatenate(
                        (similarity[untouched], self._rows.similarity(again, probe))
                    )
                    found_owners = np.concatenate((found_owners[untouched], self._owners[again]))
            nearest = found_owners[np.argsort(-similarity)]
            if among is None or eligible is None:
                return nearest, count
            # Rows that were touched meanwhile may be anybody's.
            return nearest[_owned_by(among, nearest)], len(eligible)

    def _touch(self, rows: RowNumbers) -> None:
        """Record that rows have changed."""
        self._touched.extend(rows.tolist())
        self._touches += len(rows)

    def _last_touched(self, number: int) -> RowNumbers:
        """Return the rows in the last `number` records that are still in use."""
        rows = np.unique(np.array(list(islice(reversed(self._touched), number)), np.intp))
        return rows[rows < self._count]

    def _make_room(self, vectors: Vectors) -> None:
        """Make room for these vectors; switch to codes once there are too many for exact rows."""
        count = self._count + len(vectors)
        if count > len(self._owners):
            self._owners = np.resize(self._owners, max(count, 2 * len(self._owners)))
        if count > self._sizes.exact and isinstance(self._rows, ExactRows):
            held = self._rows.first(self._count)
            coded = CodedRows(np.concatenate((held, vectors)), self._sizes)
            coded.write(np.arange(self._count), held)
            self._rows = coded

    def _drop(self, employees: Collection[int]) -> None:
        """Remove employees, all of whom are in the index."""
        if not employees:
            return
        ids = np.sort(np.fromiter(employees, np.int64, len(employees)))
        gone = _owned_by(ids, self._owners[: self._count])
        kept = self._count - int(np.count_nonzero(gone))
        holes = np.flatnonzero(gone[:kept])
        last = kept + np.flatnonzero(~gone[kept:])
        self._rows.move(last, holes)
        self._rows.wipe(np.arange(kept, self._count))
        self._owners[holes] = self._owners[last]
        self._count = kept
        self._employees.difference_update(employees)
        self._touch(holes)


def _owned_by(ids: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.bool]:
    """Return for each owner, (n,), whether it is one of the ids, which are ascending."""
    if not len(ids):
        return np.zeros(len(owners), np.bool)
    if len(ids) == 1:
        owned: NDArray[np.bool] = owners == ids[0]
    else:  # faster than np.isin, which sorts all owners
        owned = ids[np.minimum(np.searchsorted(ids, owners), len(ids) - 1)] == owners
    return owned
