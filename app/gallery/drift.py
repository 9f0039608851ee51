"""Find the entries in which a shared index differs from the store."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from app.gallery import IndexEntry
from app.storage import Employee

_ENROLMENT_ID = re.compile(r"[0-9a-f]{32}")
_TOLERANCE = 1e-6  # more than float32 numbers may change on the way to the index and back


@dataclass(frozen=True, slots=True)
class Drift:
    """The entries that must change in the index. Falsy if there are none.

    missing: entries to add. wrong: the correct entries, which must overwrite those in the index.
    garbage: entries to remove, because they belong to no record.
    """

    missing: list[IndexEntry] = field(default_factory=list)
    wrong: list[IndexEntry] = field(default_factory=list)
    garbage: list[IndexEntry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.wrong or self.garbage)

    def employees(self) -> list[int]:
        """Return the ids of the employees concerned in ascending order."""
        return sorted({entry.employee_id for entry in self.missing + self.wrong + self.garbage})

    def add(self, other: "Drift") -> None:
        """Add the drift of other employees."""
        self.missing.extend(other.missing)
        self.wrong.extend(other.wrong)
        self.garbage.extend(other.garbage)

    def counts(self) -> dict[str, int]:
        """Return the number of entries of each kind."""
        return {
            "missing": len(self.missing),
            "wrong": len(self.wrong),
            "garbage": len(self.garbage),
        }


def expected_entries(employee: Employee) -> list[IndexEntry]:
    """Return the entries that a record should have in the index.

    A vector with a number that is not finite has no entry, because it matches nobody. Records
    written by other clients may lack our enrolment id, so a hash of their vectors replaces it.
    """
    enrolment = employee.enrolment_id
    if not _ENROLMENT_ID.fullmatch(enrolment):
        content = enrolment.encode() + employee.vectors.tobytes()
        enrolment = blake2b(content, digest_size=16).hexdigest()
    return [
        IndexEntry(f"{employee.employee_id}-{enrolment}-{number}", employee.employee_id, vector)
        for number, vector in enumerate(employee.vectors)
        if np.isfinite(vector).all()
    ]


def drift_between(entries: Sequence[IndexEntry], records: Sequence[Employee]) -> Drift:
    """Return the drift between all entries of some employees and all their records."""
    wanted = {entry.name: entry for employee in records for entry in expected_entries(employee)}
    found = {entry.name: entry for entry in entries}
    return Drift(
        missing=[entry for name, entry in wanted.items() if name not in found],
        wrong=[
            entry for name, entry in wanted.items() if name in found and _differ(entry, found[name])
        ],
        garbage=[entry for name, entry in found.items() if name not in wanted],
    )


def _differ(entry: IndexEntry, other: IndexEntry) -> bool:
    same_owner = entry.employee_id == other.employee_id
    return not same_owner or bool(np.abs(entry.vector - other.vector).max() > _TOLERANCE)
