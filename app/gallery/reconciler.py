"""Make a shared index match the store: the entries of some employees at a time."""

from collections.abc import Sequence

from app.gallery import IndexUnavailable, SharedIndex
from app.gallery.comparison import comparable
from app.gallery.drift import Drift, drift_between
from app.storage import EmployeeStore
from models.catalogue import FaceModel

_ROUNDS = 8  # writers of one employee at once, before the rest is left to the next catch-up


class NotReconciled(IndexUnavailable):
    """Some employees' entries still differ from their records; `employee_ids` says whose."""

    def __init__(self, employee_ids: Sequence[int]) -> None:
        super().__init__(f"entries of {len(employee_ids)} employees keep changing in the index")
        self.employee_ids = employee_ids


class Reconciler:
    """Compares the entries of employees with their records, and corrects the entries."""

    def __init__(self, store: EmployeeStore, index: SharedIndex, model: FaceModel) -> None:
        self._store = store
        self._index = index
        self._model = model

    def drift_of(self, employee_ids: Sequence[int]) -> Drift:
        """Return how the entries of these employees differ from their records.

        Raises StoreUnavailable, IndexUnavailable.
        """
        # Read the entries first: an entry that its record does not have now is then outdated,
        # rather than newer than the record that was read.
        entries = self._index.entries_of(employee_ids)
        return drift_between(entries, comparable(self._store.get(employee_ids), self._model))

    def reconcile(self, employee_ids: Sequence[int]) -> Drift:
        """Make the entries of these employees match their records; return the drift found first.

        Writers take no lock. An entry's name holds the id of its enrolment, so an entry that its
        record does not have is of a superseded enrolment and may be removed while others write. An
        entry that is put may be superseded meanwhile, so compare again until nothing differs.
        Raises NotReconciled, StoreUnavailable, IndexUnavailable.
        """
        found, left = Drift(), list(employee_ids)
        for _ in range(_ROUNDS):
            if not (drift := self.drift_of(left)):
                return found
            found = found or drift
            self._index.put(drift.missing + drift.wrong)
            self._index.remove([entry.name for entry in drift.garbage])
            left = drift.employees()  # writers of the others reconcile those themselves
        raise NotReconciled(left)
