"""Where a shared index and the store differ."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from app.gallery import Row
from app.storage import Employee

_OWN_ID = re.compile(r"[0-9a-f]{32}")
_SAME_WITHIN = 1e-6


@dataclass(frozen=True, slots=True)
class Drift:
    """What must change in the index. False where nothing must.

    missing: rows to add. wrong: rows that are there with other vectors, as they should be.
    garbage: rows of no record.
    """

    missing: list[Row] = field(default_factory=list)
    wrong: list[Row] = field(default_factory=list)
    garbage: list[Row] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.wrong or self.garbage)

    def employees(self) -> list[int]:
        """Whose rows they are, in ascending order."""
        return sorted({row.employee_id for row in self.missing + self.wrong + self.garbage})

    def add(self, other: "Drift") -> None:
        """Take in what another part differs in."""
        self.missing.extend(other.missing)
        self.wrong.extend(other.wrong)
        self.garbage.extend(other.garbage)

    def without(self, employee_ids: Collection[int]) -> "Drift":
        """The same but for the rows of these employees."""
        return Drift(
            *(
                [row for row in rows if row.employee_id not in employee_ids]
                for rows in (self.missing, self.wrong, self.garbage)
            )
        )

    def counts(self) -> dict[str, int]:
        """How many rows of each kind."""
        return {
            "missing": len(self.missing),
            "wrong": len(self.wrong),
            "garbage": len(self.garbage),
        }


def rows(employee: Employee) -> list[Row]:
    """The rows of a record. A vector that is none, being not finite, matches nobody: it has none.

    A record without an enrolment id of ours is named by its vectors.
    """
    enrolment = employee.enrolment_id
    if not _OWN_ID.fullmatch(enrolment):
        content = enrolment.encode() + employee.vectors.tobytes()
        enrolment = blake2b(content, digest_size=16).hexdigest()
    return [
        Row(f"{employee.employee_id}-{enrolment}-{number}", employee.employee_id, vector)
        for number, vector in enumerate(employee.vectors)
        if np.isfinite(vector).all()
    ]


def drift_between(there: Sequence[Row], records: Sequence[Employee]) -> Drift:
    """The drift of all rows of some employees from all records of them."""
    wanted = {row.name: row for employee in records for row in rows(employee)}
    found = {row.name: row for row in there}
    return Drift(
        missing=[row for name, row in wanted.items() if name not in found],
        wrong=[row for name, row in wanted.items() if name in found and _differ(row, found[name])],
        garbage=[row for name, row in found.items() if name not in wanted],
    )


def _differ(row: Row, other: Row) -> bool:
    same_owner = row.employee_id == other.employee_id
    return not same_owner or bool(np.abs(row.vector - other.vector).max() > _SAME_WITHIN)
