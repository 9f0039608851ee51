"""Counts the stored employees of each face model."""

from time import monotonic

from app.storage import EmployeeStore

_COUNTED_AGAIN_S = 30.0


class StoredModels:
    """How many employees the store holds for each model.

    Counting may read the whole store, so that it is done again only when the change log has grown,
    or after a while, for what was changed by hand.
    """

    def __init__(self, store: EmployeeStore) -> None:
        self._store = store
        self._counted: tuple[int, float, dict[str, int]] | None = None  # position, when, counts

    def counts(self) -> dict[str, int]:
        """By the models' names. Raises StoreUnavailable."""
        position = self._store.position()
        if self._counted is not None:
            counted_at, when, counts = self._counted
            if counted_at == position and monotonic() - when < _COUNTED_AGAIN_S:
                return counts
        counts = self._store.models()
        self._counted = position, monotonic(), counts
        return counts
