"""The gallery of one process, kept equal to the store that all processes share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import GalleryIndex
from app.storage import ChangesForgotten, Employee, EmployeeStore

log = structlog.get_logger()

_CANDIDATES = 8
_BATCH = 4_096
_PROGRESS_EVERY_S = 5.0


class Gallery:
    """Finds the nearest employee: the index proposes, the store disposes.

    Before each search the index follows the store's change log, so what any process has
    acknowledged is found here. The answer is computed from the records as the store holds them at
    that moment, so a deleted or replaced face never matches, whatever the index remembers.
    """

    def __init__(
        self, store: EmployeeStore, index: GalleryIndex, model: str, distance_scale: float
    ) -> None:
        self._store = store
        self._index = index
        self._model = model
        self._distance_scale = distance_scale
        self._position = -1
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._index)

    def load(self) -> None:
        """Read the whole store into the index. Raises StoreUnavailable."""
        # the position first: what changes while we read is then read once more
        position = self._store.position()
        unseen = set(self._index.employees())
        total, read, others = self._store.count(), 0, 0
        started = logged = monotonic()
        for batch in _batches(self._store.read_all()):
            known = self._put(batch)
            unseen.difference_update(employee.employee_id for employee in known)
            read, others = read + len(batch), others + len(batch) - len(known)
            if (now := monotonic()) - logged >= _PROGRESS_EVERY_S:
                logged = now
                rate = round(read / (now - started))
                log.info("loading the gallery", employees=read, of=total, per_second=rate)
        if others:
            log.warning(
                "employees of another model are not matched: enrol them again",
                employees=others,
                model=self._model,
            )
        self._index.remove(list(unseen))
        self._position = position

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """The nearest employee and their distance, None in an empty gallery.

        probe: (dimension,) float32 of unit length. Raises StoreUnavailable.
        """
        self._catch_up()
        while proposed := self._index.nearest(probe, _CANDIDATES):
            records = [e for e in self._store.get(proposed) if e.model == self._model]
            if records:
                distances = [self._distance(employee, probe) for employee in records]
                best = int(np.argmin(distances))
                return records[best], distances[best]
            self._forget_missing(proposed)
        return None

    def _distance(self, employee: Employee, probe: NDArray[np.float32]) -> float:
        least = np.linalg.norm(employee.vectors - probe, axis=1).min()
        return float(least) * self._distance_scale

    def _catch_up(self) -> None:
        position = self._position
        try:
            changes = self._store.changes_since(position)
        except ChangesForgotten:
            with self._lock:
                if self._position == position:  # else another thread has read it again meanwhile
                    self.load()
            return
        if not changes.employee_ids:
            return
        records = self._store.get(sorted(changes.employee_ids))
        with self._lock:
            if changes.position <= self._position:
                return  # another thread knows as much or more; older records must not win
            known = {employee.employee_id for employee in self._put(records)}
            self._index.remove(sorted(changes.employee_ids - known))
            self._position = changes.position

    def _put(self, employees: Sequence[Employee]) -> list[Employee]:
        """Put those of the gallery's model into the index, and say which those are."""
        known = [employee for employee in employees if employee.model == self._model]
        if known:
            owners = [employee.employee_id for employee in known]
            self._index.put_many(
                np.repeat(np.array(owners, np.int64), [len(e.vectors) for e in known]),
                np.concatenate([employee.vectors for employee in known]),
            )
        return known

    def _forget_missing(self, employee_ids: Sequence[int]) -> None:
        """Forget those that are in the store no more, though its change log does not say so."""
        with self._lock:  # so that none is forgotten that was enrolled and put again just now
            there = {e.employee_id for e in self._store.get(employee_ids) if e.model == self._model}
            self._index.remove([e for e in employee_ids if e not in there])


def _batches(employees: Iterable[Employee]) -> Iterator[list[Employee]]:
    rest = iter(employees)
    while batch := list(islice(rest, _BATCH)):
        yield batch
