"""The gallery of one process, kept equal to the store that all processes share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import GalleryIndex
from app.storage import ChangesForgotten, Employee, EmployeeStore, StoreUnavailable
from app.usecases.comparison import Comparison

log = structlog.get_logger()

T = TypeVar("T")

_CANDIDATES = 8
_BATCH = 1_024
_PROGRESS_EVERY_S = 5.0
_LOADING = "the gallery is being read again"
_PATIENCE_S = 1.0  # in which most galleries have been read again


class GalleryLoading(Exception):
    """The whole store is being read; until that is done nobody can be found."""


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
        self._comparison = Comparison(model, index.dimension, distance_scale)
        self._position = -1
        self._lock = Lock()
        self._reloading = Lock()
        self._complete = Event()
        self._complete.set()
        self._told_of_others = False

    def __len__(self) -> int:
        return len(self._index)

    def load(self) -> None:
        """Read the whole store into the index. Raises StoreUnavailable."""
        # the position first: what changes while we read is then read once more
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
        self._tell_of_others(others)
        self._index.remove(list(unseen))
        self._position = position

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """The nearest employee and their distance, None in an empty gallery.

        probe: (dimension,) float32 of unit length. Raises StoreUnavailable.
        """
        self.follow()
        count = _CANDIDATES
        while proposed := self._index.nearest(probe, count):
            records = self._comparison.comparable(self._store.get(proposed, may_lag=True))
            if nearest := self._comparison.nearest(records, probe):
                return nearest
            self._forget_missing(proposed)
            count = min(4 * count, _BATCH)  # if all of them are to be forgotten, soon
        return None

    def check_ready(self) -> None:
        """Return when a login can be answered. Raises StoreUnavailable, GalleryLoading."""
        anyone = np.ones(self._comparison.dimension, np.float32)
        self.nearest(anyone / np.linalg.norm(anyone))

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """What a write to the store happens in; every process follows it in the change log."""
        return nullcontext()

    def check(self) -> None:
        """Raise GalleryLoading while the whole store is being read again."""
        if not self._complete.wait(_PATIENCE_S):
            raise GalleryLoading(_LOADING)

    def follow(self) -> None:
        """Bring what has changed in the store into the index.

        Raises StoreUnavailable, and GalleryLoading where so much has changed that the whole store
        must be read again, which goes on in the background.
        """
        self.check()
        position = self._position
        try:
            if not self._store.changes_since(position).employee_ids:
                return
            with self._lock:
                # once more: another thread may have known and done it all meanwhile
                position = self._position
                changes = self._store.changes_since(position)
                for ids in batched(sorted(changes.employee_ids), _BATCH):
                    stored = self._store.get(ids)
                    known = self._put(stored)
                    self._index.remove(list(set(ids) - {e.employee_id for e in known}))
                    self._tell_of_others(len(stored) - len(known))
                self._position = changes.position
        except ChangesForgotten:
            self._reload(position)
            self.check()
            if self._position == position:  # it could not be read
                raise GalleryLoading(_LOADING) from None
            self.follow()

    def _reload(self, position: int) -> None:
        """Read the whole store again in the background, unless somebody did since `position`."""
        with self._reloading:
            if self._position != position or not self._complete.is_set():
                return
            self._complete.clear()
        log.warning("the change log does not reach back to what is known: reading the whole store")
        Thread(target=self._reloaded, name="reload-gallery", daemon=True).start()

    def _reloaded(self) -> None:
        try:
            with self._lock:
                self.load()
        except StoreUnavailable as error:
            log.error("the gallery could not be read again", reason=str(error))
        except Exception:  # a request asks again, and reads it again
            log.exception("the gallery could not be read again")
        finally:
            self._complete.set()

    def _put(self, employees: Sequence[Employee]) -> list[Employee]:
        """Put those of the gallery's model into the index, and say which those are."""
        known = self._comparison.comparable(employees)
        if known:
            owners = [employee.employee_id for employee in known]
            self._index.put(
                np.repeat(np.array(owners, np.int64), [len(e.vectors) for e in known]),
                np.concatenate([employee.vectors for employee in known]),
            )
        return known

    def _tell_of_others(self, employees: int) -> None:
        """Say once that employees are stored whom this gallery does not match."""
        if employees and not self._told_of_others:
            self._told_of_others = True
            log.warning(
                "employees of another model are not matched: enrol them again",
                employees=employees,
                model=self._comparison.model,
            )

    def _forget_missing(self, employee_ids: Sequence[int]) -> None:
        """Forget those that are in the store no more, though its change log does not say so."""
        with self._lock:  # so that none is forgotten that was enrolled and put again just now
            there = {
                e.employee_id for e in self._comparison.comparable(self._store.get(employee_ids))
            }
            self._index.remove([e for e in employee_ids if e not in there])


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last one of what is left."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
