"""The gallery whose index all processes share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import NEEDED, IndexUnavailable, batched
from app.gallery.distances import comparable, in_groups, ranked
from app.gallery.drift import Drift, drift_between, expected_entries
from app.gallery.milvus_index import MOST_FOUND, MilvusIndex
from app.stages import stage
from app.storage import (
    Changes,
    ChangesForgotten,
    Employee,
    EmployeeExists,
    EmployeeStore,
    NoSuchEmployee,
    UnknownSeal,
)
from models.catalogue import FaceModel

log = structlog.get_logger()

_CANDIDATES = 64  # entries that a search proposes at first
_PER_EMPLOYEE = 4  # entries proposed for each employee compared, who may have several, some stale
_BATCH = 1_000  # employees reconciled at a time
_ROUNDS = 8  # attempts while others write the same employees, before a later catch-up takes over


class NotReconciled(IndexUnavailable):
    """Entries still differ from their records after all attempts."""


class SharedGallery:
    """Finds the nearest employee: the index proposes, the store decides.

    A write goes to the store first. Its entries are in the index before it is acknowledged, so
    every later search in any process finds them. The answer is computed from the records that the
    store holds at that moment, so stale entries of earlier enrolments affect no login.
    """

    def __init__(self, store: EmployeeStore, index: MilvusIndex, model: FaceModel) -> None:
        self.store = store
        self.index = index
        self.model = model
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
        self._check_complete()
        self.store.get([], may_lag=True)  # as a login does

    def nearest_people(
        self, probe: NDArray[np.float32], groups: frozenset[str] | None = None, least: int = NEEDED
    ) -> list[tuple[Employee, float]]:
        among = None
        if groups is not None:
            with stage("store"):
                among = self.store.members(groups)
        count = max(_CANDIDATES, _PER_EMPLOYEE * least)
        while True:
            with stage("index"):
                proposed = self.index.nearest(probe, count, among)
            if not proposed:
                self._check_complete()
            owners = list(dict.fromkeys(employee_id for _, employee_id in proposed))
            owners = owners[: count // _PER_EMPLOYEE]  # as Milvus finds far more than are compared
            with stage("store"):
                records = comparable(self.store.get(owners, may_lag=True), self.model)
            current = {entry.name for employee in records for entry in expected_entries(employee)}
            compared = set(owners)
            stale = {e for name, e in proposed if e in compared and name not in current}
            self._suspects |= stale
            found = {employee_id for name, employee_id in proposed if name in current}
            if len(found) >= least or len(proposed) < count:
                return ranked(in_groups(records, groups), probe, self.model)
            # Too many proposals were stale: ask for more, or remove the stale entries first.
            if count == MOST_FOUND and not self.reconcile(sorted(stale)):
                raise IndexUnavailable("the nearest entries keep changing in the index")
            count = min(4 * count, MOST_FOUND)

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
            self.reconcile([employee_id])
            raise
        self.reconcile([employee_id])

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
                        if drift := self.reconcile(ids):
                            # The usual cause is a write that is under way.
                            log.info("the index was corrected", **drift.counts())
                    except NotReconciled:
                        pass  # `reconcile` has added them to the suspects
                    left -= set(ids)
            finally:
                self._suspects |= suspects & left
            self._position = changes.position
        finally:
            self._catching_up.release()

    def drift_of(self, employee_ids: Sequence[int]) -> Drift:
        """Return how the entries of these employees differ from their records.

        Raises StoreUnavailable; IndexUnavailable, also if records are undecryptable here.
        """
        # Read the entries before the records. An entry that its record lacks is then outdated, and
        # not newer than the record.
        entries = self.index.entries_of(employee_ids)
        records = self.store.get(employee_ids)
        if {entry.employee_id for entry in entries} - {each.employee_id for each in records}:
            try:
                self.store.check_seals()  # undecryptable records would look removed
            except UnknownSeal as error:
                raise IndexUnavailable(str(error)) from error
        return drift_between(entries, comparable(records, self.model))

    def reconcile(self, employee_ids: Sequence[int]) -> Drift:
        """Make the entries of these employees match their records; return the drift found first.

        Writers take no lock. An entry's name contains its enrolment id, so an entry that its record
        lacks belongs to a superseded enrolment, and can be removed while others write. An entry may
        also be superseded while it is put, so compare again until nothing differs.
        Raises NotReconciled, StoreUnavailable, IndexUnavailable.
        """
        found, left = Drift(), list(employee_ids)
        for _ in range(_ROUNDS):
            if not (drift := self.drift_of(left)):
                return found
            found = found or drift
            self.index.put(drift.missing + drift.wrong)
            self.index.remove([entry.name for entry in drift.garbage])
            left = drift.employees()  # if others change later, their writers reconcile them
        self._suspects |= set(left)
        raise NotReconciled(f"entries of {len(left)} employees keep changing in the index")

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
