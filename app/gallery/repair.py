"""Compare the whole store with the whole shared index, and repair the index."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.gallery import batched
from app.gallery.comparison import comparable
from app.gallery.drift import Drift, drift_between
from app.gallery.shared_gallery import SharedGallery
from app.storage import Employee

FIRST_ID, LAST_ID = -(2**63) + 1, 2**63 - 1

_EMPLOYEES, _VECTORS = 4_096, 8_192  # compared at a time; they fit one answer of Milvus
_SECOND_LOOK = 4_096  # employees
_WRITE_S = 2.0  # by then a write has reached the index, or it was not acknowledged


@dataclass(frozen=True, slots=True)
class Step:
    """One range of ids that was compared. last: its last id. employees: how many it holds."""

    last: int
    employees: int
    drift: Drift


def check(gallery: SharedGallery) -> Iterator[Step]:
    """Yield the drift, range by range, in ascending order of id.

    Changes nothing, except that a missing index is created.
    Raises StoreUnavailable, IndexUnavailable.
    """
    gallery.index.prepare()
    suspects: list[int] = []
    for step in _compared(gallery, FIRST_ID):
        suspects += step.drift.employees()
        certain = Drift()
        if len(suspects) >= _SECOND_LOOK or step.last == LAST_ID:
            certain, suspects = _second_look(gallery, suspects), []
        yield Step(step.last, step.employees, certain)


def rebuild(gallery: SharedGallery, after: int = FIRST_ID) -> Iterator[Step]:
    """Repair the index, range by range, in ascending order of id.

    A rebuild from the first id leaves the index complete. Correct entries are not written again, so
    a rebuild may be stopped and restarted at any time, while others enrol, replace and remove.
    after: continue after this id. Raises StoreUnavailable, IndexUnavailable.
    """
    gallery.index.prepare()
    for step in _compared(gallery, after):
        repaired = Drift()
        for ids in batched(step.drift.employees(), _SECOND_LOOK):
            repaired.add(gallery.reconciler.reconcile(ids))
        yield Step(step.last, step.employees, repaired)
    gallery.index.flush()
    if after == FIRST_ID:
        gallery.index.mark_complete()


def _compared(gallery: SharedGallery, after: int) -> Iterator[Step]:
    """Compare each range once. Writes that are under way look like drift."""
    for batch, last in _ranges(e for e in gallery.store.read_all() if e.employee_id > after):
        entries = list(gallery.index.entries_between(after, last))
        drift = drift_between(entries, comparable(batch, gallery.model))
        yield Step(last, len(batch), drift)
        after = last


def _ranges(employees: Iterable[Employee]) -> Iterator[tuple[list[Employee], int]]:
    """Yield all employees, some thousand vectors at a time, with the last id of each range."""
    batch: list[Employee] = []
    vectors = 0
    for employee in employees:
        if batch and (len(batch) == _EMPLOYEES or vectors + len(employee.vectors) > _VECTORS):
            yield batch, batch[-1].employee_id
            batch, vectors = [], 0
        batch.append(employee)
        vectors += len(employee.vectors)
    yield batch, LAST_ID


def _second_look(gallery: SharedGallery, ids: list[int]) -> Drift:
    """Return the drift of these employees that is still there once writes under way have ended."""
    drift = Drift()
    if ids:
        time.sleep(_WRITE_S)
    for some in batched(ids, _SECOND_LOOK):
        drift.add(gallery.reconciler.drift_of(some))
    return drift
