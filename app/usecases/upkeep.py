"""Going through the whole store and the whole index: what differs, and putting it right."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.storage import Employee
from app.usecases.drift import Drift, drift_between
from app.usecases.gallery import batched
from app.usecases.shared_gallery import SharedGallery

FIRST_ID, LAST_ID = -(2**63) + 1, 2**63 - 1

_EMPLOYEES, _VECTORS = 4_096, 8_192  # looked at together
_LOOKED_AGAIN = 4_096
# in which a write that reached the store has reached the index, or was not acknowledged
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """The part of the ids that was looked at. last: its last id. employees: how many are in it."""

    last: int
    employees: int
    drift: Drift


def check(gallery: SharedGallery) -> Iterator[Step]:
    """The drift, part by part, in ascending order of id.

    Changes nothing, but an index that is missing is made.
    Raises StoreUnavailable, IndexUnavailable.
    """
    gallery.index.prepare()
    suspects: list[int] = []
    for step in _compared(gallery, FIRST_ID):
        suspects += step.drift.employees()
        sure = Drift()
        if len(suspects) >= _LOOKED_AGAIN or step.last == LAST_ID:
            sure, suspects = _looked_again(gallery, suspects), []
        yield Step(step.last, step.employees, sure)


def rebuild(gallery: SharedGallery, after: int = FIRST_ID) -> Iterator[Step]:
    """Put the index right, part by part, in ascending order of id.

    From the first id on, it is complete at the end. What is right is not written again, so it may
    be stopped and started at any time. Processes may enrol, replace and remove meanwhile.
    after: the id to go on after. Raises StoreUnavailable, IndexUnavailable.
    """
    gallery.index.prepare()
    for step in _compared(gallery, after):
        repaired = Drift()
        for ids in batched(step.drift.employees(), _LOOKED_AGAIN):
            repaired.add(gallery.settle(ids))
        yield Step(step.last, step.employees, repaired)
    gallery.index.flush()
    if after == FIRST_ID:
        gallery.index.mark_complete()


def _compared(gallery: SharedGallery, after: int) -> Iterator[Step]:
    """Each part of the store and of the index, at a glance: writes under way look like drift."""
    for batch, last in _parts(e for e in gallery.store.read_all() if e.employee_id > after):
        there = list(gallery.index.rows_between(after, last))
        drift = drift_between(there, gallery.comparison.comparable(batch))
        yield Step(last, len(batch), drift)
        after = last


def _parts(employees: Iterable[Employee]) -> Iterator[tuple[list[Employee], int]]:
    """All employees, some thousand vectors at a time, and the last id that each part reaches to."""
    part: list[Employee] = []
    vectors = 0
    for employee in employees:
        if part and (len(part) == _EMPLOYEES or vectors + len(employee.vectors) > _VECTORS):
            yield part, part[-1].employee_id
            part, vectors = [], 0
        part.append(employee)
        vectors += len(employee.vectors)
    yield part, LAST_ID


def _looked_again(gallery: SharedGallery, ids: list[int]) -> Drift:
    """The drift of these employees that is none of a write under way."""
    drift = Drift()
    if ids:
        time.sleep(_PATIENCE_S)
    for some in batched(ids, _LOOKED_AGAIN):
        drift.add(gallery.drift_of(some))
    return drift
