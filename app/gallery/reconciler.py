"""Make the entries of some employees in a shared index match their records in the store."""

from collections.abc import Sequence

from app.gallery import IndexUnavailable, SharedIndex
from app.gallery.comparison import comparable
from app.gallery.drift import Drift, drift_between
from app.storage import EmployeeStore, UnknownSeal
from models.catalogue import FaceModel

_ROUNDS = 8  # attempts while others write the same employees, before a later catch-up takes over


class NotReconciled(IndexUnavailable):
    """The entries of `employee_ids` still differ from their records after all attempts."""

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

        Raises StoreUnavailable; IndexUnavailable, also if records are undecryptable here.
        """
        # Read the entries before the records. An entry that its record lacks is then outdated, and
        # not newer than the record.
        entries = self._index.entries_of(employee_ids)
        records = self._store.get(employee_ids)
        if {entry.employee_id for entry in entries} - {each.employee_id for each in records}:
            self._check_decryptable()
        return drift_between(entries, comparable(records, self._model))

    def reconcile(self, employee_ids: Sequence[int]) -> Drift:
        """Make the entries of these employees match their records; return the drift found first.

        Writers take no lock. An entry's name contains its enrolment id, so an entry that its record
        lacks belongs to a superseded enrolment, and can be removed while others write. An entry may
        also be superseded while it is put, so compare again until nothing differs.
        Raises NotReconciled, StoreUnavailable, IndexUnavailable.
        """
        found, left = Drift(), list(employee_ids)
        for _ in range(_ROUNDS):
            if not (drift := self.drift_of(left)):
                return found
            found = found or drift
            self._index.put(drift.missing + drift.wrong)
            self._index.remove([entry.name for entry in drift.garbage])
            left = drift.employees()  # if others change later, their writers reconcile them
        raise NotReconciled(left)

    def _check_decryptable(self) -> None:
        """Raise IndexUnavailable if records are undecryptable; they would look removed."""
        try:
            self._store.check_seals()
        except UnknownSeal as error:
            raise IndexUnavailable(str(error)) from error
