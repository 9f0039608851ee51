"""The gallery whose index all processes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import IndexUnavailable, SharedIndex, batched
from app.gallery.comparison import comparable, nearest
from app.gallery.drift import Drift, expected_entries
from app.gallery.reconciler import NotReconciled, Reconciler
from app.storage import (
    Changes,
    ChangesForgotten,
    Employee,
    EmployeeExists,
    EmployeeStore,
    NoSuchEmployee,
)
from models.catalogue import FaceModel

log = structlog.get_logger()

_CANDIDATES = 8  # entries that a search proposes at first; an employee may have several
_MOST_CANDIDATES = 16_384  # the maximum that Milvus returns
_BATCH = 1_000  # employees reconciled at a time


class SharedGallery:
    """Finds the nearest employee: the index proposes, the store disposes.

    A write goes to the store first. Its entries are in the index before it is acknowledged, so
    every later search in any process finds them. The answer is computed from the records that the
    store holds at that moment, so stale entries of earlier enrolments affect no login.
    """

    def __init__(self, store: EmployeeStore, index: SharedIndex, model: FaceModel) -> None:
        self.store = store
        self.index = index
        self.model = model
        self.reconciler = Reconciler(store, index, model)
        self._position: int | None = None
        self._suspects: set[int] = set()  # employees whose entries may be stale
        self._catching_up = Lock()

    def __len__(self) -> int:
        return self.store.count() if len(self.index) else 0

    def load(self) -> None:
        """Create the index if it does not exist. Raises IndexUnavailable if it is not complete."""
        self.index.prepare()
        if next(self.store.read_all(), None) is None:
            self.index.mark_complete()
        self._check_complete()

    def check_ready(self) -> None:
        """Return if a login can be answered. Raises IndexUnavailable, StoreUnavailable."""
        self._check_complete()
        self.store.get([], may_lag=True)  # as a login does

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """Return the nearest employee and their distance; None if the gallery is empty.

        probe: (dimension,) float32 of unit length. Raises StoreUnavailable, IndexUnavailable.
        """
        count = _CANDIDATES
        while True:
            proposed = self.index.nearest(probe, count)
            if not proposed:
                self._check_complete()
            owners = list({employee_id for _, employee_id in proposed})
            records = comparable(self.store.get(owners, may_lag=True), self.model)
            current = {entry.name for employee in records for entry in expected_entries(employee)}
            stale = {employee_id for name, employee_id in proposed if name not in current}
            self._suspects |= stale
            if len(proposed) < count or any(name in current for name, _ in proposed):
                return nearest(records, probe, self.model)
            # Every proposal was stale: ask for more, or remove the stale entries first.
            if count == _MOST_CANDIDATES and not self._reconcile(sorted(stale)):
                raise IndexUnavailable("the nearest entries keep changing in the index")
            count = min(4 * count, _MOST_CANDIDATES)

    @contextmanager
    def writing(self, employee_id: int) -> Iterator[None]:
        """Bring what the block writes to the store into the index. Raises IndexUnavailable.

        If the block finds that the record already exists, or is gone, an earlier attempt may have
        written it without reaching the index, so that is corrected, too. If the index cannot be
        reached, the write to the store remains, but is not acknowledged. The index gets it when the
        request is repeated, or from `catch_up`.
        """
        self._check_complete()  # refuse the write rather than make half of it
        try:
            yield
        except (EmployeeExists, NoSuchEmployee):
            self._reconcile([employee_id])
            raise
        self._reconcile([employee_id])

    def catch_up(self) -> None:
        """Reconcile what all processes wrote; one may have died between store and index.

        Raises StoreUnavailable, IndexUnavailable.
        """
        if not self._catching_up.acquire(blocking=False):
            return
        try:
            self._check_complete()
            changes = self._changes()
            suspects, self._suspects = self._suspects, set()
            left = changes.employee_ids | suspects
            try:
                for ids in batched(sorted(left), _BATCH):
                    try:
                        if drift := self._reconcile(ids):
                            # The usual cause is a write that is under way.
                            log.info("the index was corrected", **drift.counts())
                    except NotReconciled:
                        pass  # _reconcile has added them to the suspects
                    left -= set(ids)
            finally:
                self._suspects |= suspects & left
            self._position = changes.position
        finally:
            self._catching_up.release()

    def _reconcile(self, employee_ids: list[int]) -> Drift:
        try:
            return self.reconciler.reconcile(employee_ids)
        except NotReconciled as error:
            self._suspects |= set(error.employee_ids)
            raise

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
