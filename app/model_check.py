"""Compare the running model with the model that people are enrolled with."""

from collections.abc import Callable
from time import monotonic

import structlog

from app.storage import EmployeeStore
from models.catalogue import FaceModel, ModelUnavailable

log = structlog.get_logger()

_RECOUNT_S = 30.0  # until vectors that somebody changed by hand are noticed


class ModelCheck:
    """Says whether the running model can match, or may enrol, given what the store holds.

    expected: returns the model that should run, given how many employees the store holds for each.
    """

    def __init__(
        self, store: EmployeeStore, expected: Callable[[dict[str, int]], FaceModel]
    ) -> None:
        self._stored = StoredModels(store)
        self._expected = expected
        self._warned = False

    def can_match(self, running: str) -> bool:
        """Return whether somebody is enrolled with the running model, or nobody at all.

        Raises StoreUnavailable.
        """
        stored = self._stored.counts()
        foreign = bool(stored) and running not in stored
        if foreign and not self._warned:
            log.error(
                "nobody is enrolled with the running face model: restart this process so that it "
                "runs the stored one, or set FACE_MODEL, or enrol everybody again",
                running=running,
                stored=stored,
            )
        self._warned = foreign
        return not foreign

    def may_enrol(self, running: str) -> bool:
        """Return whether the running model may make vectors for the store.

        FACE_MODEL may name a model that nobody is enrolled with yet. Without FACE_MODEL, two
        processes that start on an empty store choose differently if only one can fetch the weights;
        the first enrolment then decides. Raises StoreUnavailable.
        """
        if self.can_match(running):
            return True
        try:
            return self._expected(self._stored.counts()).name == running
        except ModelUnavailable:
            return False


class StoredModels:
    """How many employees the store holds for each model.

    Counting may read the whole store, so the counts are cached until the change log grows; but not
    for long, because somebody may change vectors by hand.
    """

    def __init__(self, store: EmployeeStore) -> None:
        self._store = store
        self._counted: tuple[int, float, dict[str, int]] | None = None  # position, time, counts

    def counts(self) -> dict[str, int]:
        """Return the counts by model name. Raises StoreUnavailable."""
        position = self._store.position()
        if self._counted is not None:
            counted_position, counted_at, counts = self._counted
            if counted_position == position and monotonic() - counted_at < _RECOUNT_S:
                return counts
        counts = self._store.models()
        self._counted = position, monotonic(), counts
        return counts
