"""The used probes in MongoDB, in the document of their employee, oldest first.

The functions raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.collection import Collection

from app.storage import Employee, NoSuchEmployee, ProbeCheck, UsedProbe
from app.storage.mongodb.documents import enrolment_query

Employees = Collection[dict[str, Any]]
FIELD = "used_probes"
_BATCH = 256


def use(employees: Employees, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
    """Remember a probe, unless `check` raises; see `EmployeeStore.use_probe`.

    The probe is added only if the document still holds the probes that `check` has seen. Otherwise
    another login was faster, and its probe must be checked, too. So no lock or transaction is
    needed.
    """
    enrolment = enrolment_query(employee.employee_id, employee.enrolment_id or None)
    added = False
    while not added:
        document = employees.find_one(enrolment, [FIELD])
        if document is None:
            raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
        known = _probes(document)
        update = _push(probe, keep=len(known) - check(known))
        unchanged = enrolment | _same_probes(document)
        added = bool(employees.update_one(unchanged, update).matched_count)


def remembered(employees: Employees, employee_id: int) -> list[UsedProbe]:
    """Return the remembered probes of an employee, oldest first."""
    return _probes(employees.find_one({"_id": employee_id}, [FIELD]) or {})


def carry_over(employees: Employees, copy: Employees) -> None:
    """Remember in a copy of the employees also the probes that were used since it was made."""
    updates = (
        UpdateOne(
            {"_id": document["_id"]},
            # Probes are added only at the end, so those that the copy has come first.
            {"$set": {FIELD: document[FIELD]}},
        )
        for document in employees.find({FIELD: {"$exists": True}}, [FIELD])
    )
    while batch := list(islice(updates, _BATCH)):
        copy.bulk_write(batch, ordered=False)


def _probes(document: Mapping[str, Any]) -> list[UsedProbe]:
    probes = document.get(FIELD) or ()
    return [UsedProbe(bytes(probe["photo_hash"]), probe["until"]) for probe in probes]


def _push(probe: UsedProbe, keep: int) -> Mapping[str, Any]:
    """Return the update that appends a probe and keeps the last `keep` of the others.

    The random `use` distinguishes the probe from all others, for `_same_probes`.
    """
    added = {"photo_hash": probe.photo_hash, "until": probe.until, "use": uuid4().hex}
    return {"$push": {FIELD: {"$each": [added], "$slice": -keep - 1}}}


def _same_probes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query that the document matches while its used probes are unchanged."""
    probes = document.get(FIELD) or ()
    if not probes:
        return {f"{FIELD}.0": {"$exists": False}}
    # Probes are added only at the end, so it is enough to compare their number and the last one.
    return {FIELD: {"$size": len(probes)}, f"{FIELD}.{len(probes) - 1}": probes[-1]}
