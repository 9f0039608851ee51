"""The gallery in the memory of one process, which catches up with the shared store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Lock, Thread
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import NEEDED, GalleryLoading, batched
from app.gallery.distances import comparable, in_groups, ranked, templates
from app.gallery.memory_index import MemoryIndex
from app.stages import stage
from app.storage import ChangesForgotten, Employee, EmployeeStore, StoreUnavailable
from models.catalogue import FaceModel

log = structlog.get_logger()

_SPARE = 3  # employees that a search proposes at first, in addition: a few may be stale
_BATCH = 1_024  # employees read at a time, and the maximum number proposed
_PROGRESS_EVERY_S = 5.0  # between log lines
_LOADING = "the gallery is being read again"
_MOST_GROUPS = 64  # whose members are remembered
_RELOAD_WAIT_S = 1.0  # how long a request waits for a reload; most galleries load faster


class MemoryGallery:
    """Finds the nearest employee: the index proposes, the store decides.

    Before each search the index catches up with the store's change log, so a search sees every
    acknowledged write of any process. The answer is computed from the records that the store holds
    at that moment, so a deleted or replaced face never matches, even if the index still has it.
    """

    def __init__(
        self, store: EmployeeStore, model: FaceModel, index: MemoryIndex | None = None
    ) -> None:
        """index: an empty one by default."""
        self._store = store
        self._model = model
        self._index = index or MemoryIndex(model.dimension)
        self._position = -1
        self._lock = Lock()
        self._reloading = Lock()
        self._complete = Event()
        self._complete.set()
        self._warned_of_others = False
        self._members: tuple[int, dict[frozenset[str], NDArray[np.int64]]] = -1, {}

    def __len__(self) -> int:
        return len(self._index)

    def load(self) -> None:
        """Read the whole store into the index. Raises StoreUnavailable."""
        # Take the position before reading, so that changes made meanwhile are read once more.
        position = self._store.position()
        unseen = set(self._index.employees())
        total, read, others = self._store.count(), 0, 0
        started = logged = monotonic()
        for batch in batched(self._store.read_all(), _BATCH):
            known = self._put(batch)
            unseen.difference_update(employee.employee_id for employee in known)
            read, others = read + len(batch), others + len(batch) - len(known)
            if (now := monotonic()) - logged >= _PROGRESS_EVERY_S:
                logged = now
                rate = round(read / (now - started))
                log.info("loading the gallery", employees=read, of=total, per_second=rate)
        self._warn_of_others(others)
        self._index.remove(list(unseen))
        self._position = position

    def nearest_people(
        self, probe: NDArray[np.float32], groups: frozenset[str] | None = None, least: int = NEEDED
    ) -> list[tuple[Employee, float]]:
        with stage("store"):
            self.catch_up()
            among = None if groups is None else self._members_of(groups)
        count = least + _SPARE
        while proposed := self._proposed(probe, count, among):
            with stage("store"):
                records = comparable(self._store.get(proposed, may_lag=True), self._model)
            if not records:
                self._remove_stale(proposed)
            elif len(records) >= least or len(proposed) < count or count == _BATCH:
                return ranked(in_groups(records, groups), probe, self._model)
            count = min(4 * count, _BATCH)  # if candidates are stale, get past them quickly
        return []

    def _members_of(self, groups: frozenset[str]) -> NDArray[np.int64]:
        """Return the ids of the groups' members, read from the store after the last change."""
        of, known = self._members
        if of != (position := self._position) or len(known) == _MOST_GROUPS:
            known = {}
            self._members = position, known
        if groups not in known:
            known[groups] = self._store.members(groups)
        return known[groups]

    def _proposed(
        self, probe: NDArray[np.float32], count: int, among: NDArray[np.int64] | None
    ) -> list[int]:
        with stage("index"):
            return self._index.nearest(probe, count, among)

    def check_ready(self) -> None:
        anyone = np.ones(self._model.dimension, np.float32)
        self.nearest_people(anyone / np.linalg.norm(anyone))

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """Do nothing: every process catches up with the change log before it searches."""
        return nullcontext()

    def catch_up(self) -> None:
        """Bring what has changed in the store into the index.

        Raises StoreUnavailable. If the change log no longer reaches back to the index's position,
        starts to read the whole store again in the background, and raises GalleryLoading if that
        takes long.
        """
        self._check_complete()
        position = self._position
        try:
            if not self._store.changes_since(position).employee_ids:
                return
            with self._lock:
                # Check again, because another thread may have caught up meanwhile.
                position = self._position
                changes = self._store.changes_since(position)
                for ids in batched(sorted(changes.employee_ids), _BATCH):
                    stored = self._store.get(ids)
                    known = self._put(stored)
                    self._index.remove(list(set(ids) - {e.employee_id for e in known}))
                    self._warn_of_others(len(stored) - len(known))
                self._position = changes.position
        except ChangesForgotten:
            self._start_reload(position)
            self._check_complete()
            if self._position == position:  # the reload failed
                raise GalleryLoading(_LOADING) from None
            self.catch_up()

    def _check_complete(self) -> None:
        if not self._complete.wait(_RELOAD_WAIT_S):
            raise GalleryLoading(_LOADING)

    def _start_reload(self, position: int) -> None:
        """Read the whole store again in the background, unless that was done since `position`."""
        with self._reloading:
            if self._position != position or not self._complete.is_set():
                return
            self._complete.clear()
        log.warning("the change log does not reach back far enough: reading the whole store")
        Thread(target=self._reload, name="reload-gallery", daemon=True).start()

    def _reload(self) -> None:
        try:
            with self._lock:
                self.load()
        except StoreUnavailable as error:
            log.error("the gallery could not be read again", reason=str(error))
        except Exception:  # the next request starts another reload
            log.exception("the gallery could not be read again")
        finally:
            self._complete.set()

    def _put(self, employees: Sequence[Employee]) -> list[Employee]:
        """Put the employees of the gallery's model into the index, and return them."""
        known = comparable(employees, self._model)
        if known:
            owners = np.array([employee.employee_id for employee in known], np.int64)
            rows = [templates(employee) for employee in known]
            self._index.put(np.repeat(owners, [len(each) for each in rows]), np.concatenate(rows))
        return known

    def _warn_of_others(self, employees: int) -> None:
        """Warn once if people are enrolled with another model, because they match nobody."""
        if employees and not self._warned_of_others:
            self._warned_of_others = True
            log.warning(
                "employees of another model are not matched: enrol them again",
                employees=employees,
                model=self._model.name,
            )

    def _remove_stale(self, employee_ids: Sequence[int]) -> None:
        """Remove employees whom the store lost without an entry in its change log."""
        with self._lock:  # without it, an employee who was just enrolled again could be removed
            stored = comparable(self._store.get(employee_ids), self._model)
            there = {employee.employee_id for employee in stored}
            self._index.remove([e for e in employee_ids if e not in there])
