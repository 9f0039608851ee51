"""The gallery in an index that all processes share, kept equal to the store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import IndexUnavailable, SharedIndex
from app.storage import (
    Changes,
    ChangesForgotten,
    Employee,
    EmployeeExists,
    EmployeeStore,
    NoSuchEmployee,
)
from app.usecases.comparison import Comparison
from app.usecases.drift import Drift, drift_between, rows
from app.usecases.gallery import batched

log = structlog.get_logger()

_CANDIDATES = 8
_MOST_CANDIDATES = 16_384
_BATCH = 1_000
_ROUNDS = 8


class Unsettled(IndexUnavailable):
    """Rows of some employees are still not those of their records; `follow` tries again."""


class SharedGallery:
    """Finds the nearest employee: the index proposes, the store disposes.

    A write goes to the store first; before it is acknowledged its rows are in the index, so every
    search that starts afterwards finds them, in any process. The answer is computed from the
    records as the store holds them at that moment, so it matters to nobody's login which rows of
    former enrolments are still there.
    """

    def __init__(self, store: EmployeeStore, index: SharedIndex, comparison: Comparison) -> None:
        self.store = store
        self.index = index
        self.comparison = comparison
        self._position: int | None = None
        self._suspects: set[int] = set()
        self._closed: set[int] = set()  # whose records cannot be opened here, or could not
        self._following = Lock()

    def __len__(self) -> int:
        return self.store.count() if len(self.index) else 0

    def load(self) -> None:
        """Make the index where it is missing. Raises IndexUnavailable where it lacks employees."""
        self.index.prepare()
        if next(self.store.read_all(), None) is None:
            self.index.mark_complete()
        self._check_complete()

    def check_ready(self) -> None:
        """Raises IndexUnavailable, StoreUnavailable."""
        self._check_complete()
        self.store.get([], may_lag=True)  # as a login asks

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """The nearest employee and their distance, None in an empty gallery.

        probe: (dimension,) float32 of unit length. Raises StoreUnavailable, IndexUnavailable.
        """
        count = _CANDIDATES
        while True:
            proposed = self.index.nearest(probe, count)
            if not proposed:
                self._check_complete()
            owners = list({employee_id for _, employee_id in proposed})
            records = self.comparison.comparable(self.store.get(owners, may_lag=True))
            current = {row.name for employee in records for row in rows(employee)}
            stale = {employee_id for name, employee_id in proposed if name not in current}
            self._suspects |= stale - self._closed
            if len(proposed) < count or any(name in current for name, _ in proposed):
                return self.comparison.nearest(records, probe)
            # former enrolments took all the places
            if count == _MOST_CANDIDATES and not self.settle(sorted(stale)):
                raise IndexUnavailable("none of the nearest records can be opened here")
            count = min(4 * count, _MOST_CANDIDATES)

    @contextmanager
    def writing(self, employee_id: int) -> Iterator[None]:
        """Bring the record that is written meanwhile into the index.

        A record that is there already, or gone, may be what an earlier attempt wrote, which then
        did not reach the index. Where it cannot be brought there now, the record stays, and is no
        success: the same request again, or `follow`, brings it there. Raises IndexUnavailable.
        """
        self._check_complete()  # better no write than half of one
        try:
            yield
        except (EmployeeExists, NoSuchEmployee):
            self.settle([employee_id])
            raise
        self.settle([employee_id])

    def settle(self, employee_ids: Sequence[int]) -> Drift:
        """Make the rows of these employees those of their records; the first drift that was found.

        Writers take no lock. Rows carry the id of the enrolment that they are of, and are looked
        at before the records are: a row that is not of the record then is of one that was
        superseded, and may be taken away whoever else is writing. A row that is put may be
        superseded meanwhile, so it is looked again until nothing is to be done. Raises Unsettled.
        """
        found, left = Drift(), list(employee_ids)
        for _ in range(_ROUNDS):
            if not (drift := self.drift_of(left)):
                return found
            found = found or drift
            self.index.put(drift.missing + drift.wrong)
            self.index.remove([row.name for row in drift.garbage])
            left = drift.employees()  # who wrote others meanwhile settles those
        self._suspects |= set(left)
        raise Unsettled(f"rows of {len(left)} employees keep changing in the index")

    def drift_of(self, employee_ids: Sequence[int]) -> Drift:
        """How the rows of these employees differ from their records.

        A record that cannot be opened here, because its key is newer than this process, is another
        process's to compare: its rows are as they should be.
        """
        there = self.index.rows_of(employee_ids)
        records, closed = self.store.examine(employee_ids)
        self._closed -= {employee.employee_id for employee in records}
        self._closed |= closed
        return drift_between(there, self.comparison.comparable(records)).without(closed)

    @property
    def unopened(self) -> list[int]:
        """The employees whose rows could not be compared, as their records cannot be opened."""
        return sorted(self._closed)

    def follow(self) -> None:
        """Look after the writes of all processes: one of them may have ended half-way.

        Raises StoreUnavailable, IndexUnavailable.
        """
        if not self._following.acquire(blocking=False):
            return
        try:
            self._check_complete()
            changes = self._changes()
            self._closed -= changes.employee_ids
            suspects, self._suspects = self._suspects, set()
            left = changes.employee_ids | suspects
            try:
                for ids in batched(sorted(left), _BATCH):
                    with suppress(Unsettled):  # they are suspects again
                        if drift := self.settle(ids):
                            # as a rule of a write that is just under way
                            log.info("the index was put right", **drift.counts())
                    left -= set(ids)
            finally:
                self._suspects |= suspects & left
            self._position = changes.position
        finally:
            self._following.release()

    def _changes(self) -> Changes:
        try:
            if self._position is not None:
                return self.store.changes_since(self._position)
        except ChangesForgotten:
            log.warning("more changes than the change log holds: run `gallery check`")
        return self.store.changes_remembered()

    def _check_complete(self) -> None:
        self.index.prepare()
        if not self.index.is_complete():
            raise IndexUnavailable(
                "the index does not hold everyone yet: run `flask --app entry gallery rebuild`"
            )
