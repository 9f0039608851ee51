"""The gallery of one process, kept equal to the store that all processes share."""

from threading import Lock

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import GalleryIndex
from app.storage import ChangesForgotten, Employee, EmployeeStore

log = structlog.get_logger()

_CANDIDATES = 8
_PROGRESS_EVERY = 100_000


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
        others, seen = 0, set()
        for employee in self._store.read_all():
            others += not self._put(employee)
            seen.add(employee.employee_id)
            if len(seen) % _PROGRESS_EVERY == 0:
                log.info("loading the gallery", employees=len(seen))
        if others:
            log.warning(
                "employees of another model are not matched: enrol them again",
                employees=others,
                model=self._model,
            )
        self._index.remove([e for e in self._index.employees() if e not in seen])
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
            # none of them is in the store any more, though the log does not say so
            self._index.remove(proposed)
        return None

    def _distance(self, employee: Employee, probe: NDArray[np.float32]) -> float:
        least = np.linalg.norm(employee.vectors - probe, axis=1).min()
        return float(least) * self._distance_scale

    def _catch_up(self) -> None:
        try:
            changes = self._store.changes_since(self._position)
        except ChangesForgotten:
            with self._lock:
                self.load()
            return
        if not changes.employee_ids:
            return
        records = self._store.get(sorted(changes.employee_ids))
        with self._lock:
            if changes.position <= self._position:
                return  # another thread knows as much or more; older records must not win
            gone = changes.employee_ids - {employee.employee_id for employee in records}
            self._index.remove(sorted(gone))
            for employee in records:
                self._put(employee)
            self._position = changes.position

    def _put(self, employee: Employee) -> bool:
        if employee.model != self._model:
            self._index.remove([employee.employee_id])
            return False
        self._index.put(employee.employee_id, employee.vectors)
        return True
