"""Enrol people under a second face model from the photos of their logins.

Photos are not kept, so a new model cannot compute the vectors of those who are enrolled. While a
company changes from one model to another, the running one decides every login, as before. A login
that is beyond doubt gives a sample to the second model.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import structlog
from structlog.contextvars import bind_contextvars

from app.audit import AuditLog
from app.lifecycle import Service
from app.limiter import Overloaded
from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.recogniser import Recogniser
from app.storage import (
    Employee,
    EmployeeChanged,
    EmployeeStore,
    NoSuchEmployee,
    Reference,
    new_enrolment_id,
)
from app.usecases.probes import SURELY_SAME, Probe
from app.usecases.records import stored_employee
from app.usecases.samples import check_one_person, from_photos, joined

log = structlog.get_logger()

SAMPLES = 3
"""Number of samples that logins give: several photos are recognised better than one."""
DAY_S = 86_400
"""Seconds between two samples of a person, so that they differ."""
_STRANGERS = 0.001  # the share of strangers who may come as near


@dataclass(frozen=True, slots=True)
class Terms:
    """Which logins enrol. until: the last day, in UTC; None if there is no end.

    needs_checks: only those that passed a liveness check or fraud detection.
    """

    until: date | None = None
    needs_checks: bool = True


class Migration:
    """Enrols people under the second model, one login after the other."""

    def __init__(self, service: Service, audit: AuditLog, terms: Terms) -> None:
        self._service = service
        self._audit = audit
        self._terms = terms

    def __call__(self, employee: Employee, probe: Probe, distance: float, alpha: float) -> None:
        """Enrol a person who was let in, if the terms allow it and the photo is good enough.

        It only adds to samples that logins made: what somebody enrolled stays as it is. Raises
        nothing, because the login has succeeded.

        distance, alpha: of the login.
        """
        second = self._service.second
        if second is None or not self._may_enrol(probe, distance, alpha):
            return
        if not _needs_sample(employee, second.model.name):
            return
        try:
            sample = from_photos([probe.photo], second).reference
            self._add(employee, replace(sample, of_logins=True), second)
        except (UnusableImage, NotAnImage, NoSuchEmployee, Overloaded) as error:
            log.info("this login does not enrol under the second model", reason=str(error))
        except Exception:
            log.exception("this login does not enrol under the second model")

    def _may_enrol(self, probe: Probe, distance: float, alpha: float) -> bool:
        terms = self._terms
        if terms.until and datetime.now(UTC).date() > terms.until:
            return False
        checked = probe.liveness or probe.fraud_detection or probe.session_id is not None
        if terms.needs_checks and not checked:
            return False
        of_strangers = self._service.distance_of(_STRANGERS)
        return distance < SURELY_SAME * alpha and (of_strangers is None or distance < of_strangers)

    def _add(self, employee: Employee, sample: Reference, second: Recogniser) -> None:
        """Add the sample, if the enrolment that let the person in is still stored.

        If it does not agree with earlier ones, one of them is of somebody else: nobody knows which,
        so none is kept, and DifferentPeople is raised. Raises NoSuchEmployee.
        """
        employee_id, model = employee.employee_id, second.model.name
        stored = stored_employee(self._service.store, employee_id)
        if stored is None or stored.enrolment_id != employee.enrolment_id:
            raise NoSuchEmployee(f"employee {employee_id} has changed meanwhile")
        if not _needs_sample(stored, model):  # another login was faster
            return
        known = stored.second_of(model)
        with self._audit.entry("migrate", employee_id=employee_id, model=model):
            try:
                if known:
                    check_one_person(sample.vectors, known.vectors, second.model)
            except DifferentPeople as error:
                self._service.store.set_second(replace(stored, second=None))
                raise DifferentPeople("the samples of this person do not agree") from error
            self._service.store.set_second(replace(stored, second=joined(known, sample)))
        bind_contextvars(enrolled_under=model)


def _needs_sample(employee: Employee, model: str) -> bool:
    """Return whether a login may give the person a sample of this model, and should."""
    if employee.model == model:
        return False
    known = employee.second_of(model)
    if known is None:
        return True
    newest = max(sample.enrolled_at or 0 for sample in known.samples)
    enough = len(known.samples) >= SAMPLES or time.time() - newest < DAY_S
    return known.of_logins and not enough


def keep_only(store: EmployeeStore, model: str) -> Iterator[bool]:
    """Delete the vectors of other models of all who are enrolled under this one.

    Yields for each employee whether there were any. Hashes of photos stay, because they tell copies
    of enrolled photos.
    """
    for employee in store.read_all():
        yield _keep_only(store, model, employee)


def _keep_only(store: EmployeeStore, model: str, employee: Employee | None) -> bool:
    while employee and (seen := employee.under(model)) and (second := seen.second):
        hashes = dict.fromkeys((*seen.photo_hashes, *second.photo_hashes))
        kept = replace(
            seen, second=None, photo_hashes=tuple(hashes), enrolment_id=new_enrolment_id()
        )
        try:
            store.update(kept, employee.enrolment_id)
            return True
        except (EmployeeChanged, NoSuchEmployee):
            employee = stored_employee(store, employee.employee_id)
    return False
