"""Compare a whole shared index with the whole store, and repair it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.gallery import batched
from app.gallery.comparison import comparable
from app.gallery.drift import Drift, drift_between
from app.gallery.shared_gallery import SharedGallery
from app.storage import Employee

FIRST_ID, LAST_ID = -(2**63) + 1, 2**63 - 1

_EMPLOYEES, _VECTORS = 4_096, 8_192  # compared at a time; they fit into one answer of Milvus
_RECHECK_BATCH = 4_096  # employees
_WRITE_S = 2.0  # by then, a write has reached the index or failed


@dataclass(frozen=True, slots=True)
class Step:
    """A range of ids that was compared. last: its last id. employees: how many it holds."""

    last: int
    employees: int
    drift: Drift


def check(gallery: SharedGallery) -> Iterator[Step]:
    """Yield the drift, range by range, in ascending order of id.

    Changes nothing, except that it creates a missing index. Raises StoreUnavailable,
    IndexUnavailable.
    """
    gallery.index.prepare()
    suspects: list[int] = []
    for step in _compared(gallery, FIRST_ID):
        suspects += step.drift.employees()
        certain = Drift()
        if len(suspects) >= _RECHECK_BATCH or step.last == LAST_ID:
            certain, suspects = _recheck(gallery, suspects), []
        yield Step(step.last, step.employees, certain)


def rebuild(gallery: SharedGallery, after: int = FIRST_ID) -> Iterator[Step]:
    """Repair the index, range by range, in ascending order of id.

    Others may enrol, replace and remove meanwhile. A rebuild may be stopped and restarted at any
    time, because it does not write correct entries again. A rebuild from the first id marks the
    index as complete. Raises StoreUnavailable, IndexUnavailable.

    after: continue after this id.
    """
    gallery.index.prepare()
    for step in _compared(gallery, after):
        repaired = Drift()
        for ids in batched(step.drift.employees(), _RECHECK_BATCH):
            repaired.add(gallery.reconciler.reconcile(ids))
        yield Step(step.last, step.employees, repaired)
    gallery.index.flush()
    if after == FIRST_ID:
        gallery.index.mark_complete()


def _compared(gallery: SharedGallery, after: int) -> Iterator[Step]:
    """Yield the drift of each range. Writes under way may look like drift."""
    for batch, last in _ranges(e for e in gallery.store.read_all() if e.employee_id > after):
        entries = list(gallery.index.entries_between(after, last))
        drift = drift_between(entries, comparable(batch, gallery.model))
        yield Step(last, len(batch), drift)
        after = last


def _ranges(employees: Iterable[Employee]) -> Iterator[tuple[list[Employee], int]]:
    """Yield ranges of some thousand vectors: their employees, and the last id of the range."""
    batch: list[Employee] = []
    vectors = 0
    for employee in employees:
        if batch and (len(batch) == _EMPLOYEES or vectors + len(employee.vectors) > _VECTORS):
            yield batch, batch[-1].employee_id
            batch, vectors = [], 0
        batch.append(employee)
        vectors += len(employee.vectors)
    yield batch, LAST_ID


def _recheck(gallery: SharedGallery, ids: list[int]) -> Drift:
    """Return the drift of these employees that remains once writes under way have ended."""
    drift = Drift()
    if ids:
        time.sleep(_WRITE_S)
    for some in batched(ids, _RECHECK_BATCH):
        drift.add(gallery.reconciler.drift_of(some))
    return drift
