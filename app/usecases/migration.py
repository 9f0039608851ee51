"""Enrol people under a second face model from the photos of their logins.

Photos are not kept, so a new model cannot compute the vectors of those who are enrolled. While a
company changes from one model to another, the running one decides every login, as before. A login
that is beyond doubt gives a sample to the second model.
"""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from structlog.contextvars import bind_contextvars

from app.audit import AuditLog, AuditUnavailable
from app.lifecycle import Service
from app.limiter import Overloaded
from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.recogniser import Recogniser
from app.storage import Employee, Reference, new_enrolment_id
from app.usecases.probes import SURELY_SAME, Probe
from app.usecases.records import edited
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

        A login does not fail because of it, except with AuditUnavailable.

        distance, alpha: of the login.
        """
        second = self._service.second
        if second is None or not self._may_enrol(probe, distance, alpha):
            return
        model = second.model.name
        if _has_enough(_of_model(employee, model)):
            return
        try:
            sample = from_photos([probe.photo], second).reference
        except (UnusableImage, NotAnImage, Overloaded) as error:
            log.info("this login does not enrol under the second model", reason=str(error))
            return
        try:
            with self._audit.entry("migrate", employee_id=employee.employee_id, model=model):
                self._add(employee, sample, second)
        except AuditUnavailable:
            raise
        except DifferentPeople as error:
            log.warning("the samples of the second model are forgotten", reason=str(error))
        except Exception:
            log.exception("a login did not enrol under the second model")
        else:
            bind_contextvars(enrolled_under=model)

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
        """Add the sample. Raises DifferentPeople if others say that it is of somebody else.

        Then one of them is: nobody knows which, so none is kept.
        """
        differ: DifferentPeople | None = None

        def change(stored: Employee) -> Employee:
            nonlocal differ
            known = _of_model(stored, second.model.name)
            if _has_enough(known):
                return stored
            try:
                if known:
                    check_one_person(sample.vectors, known.vectors, second.model)
            except DifferentPeople as error:
                differ = error
                return stored.referred_by(stored.reference, None)
            return stored.referred_by(stored.reference, joined(known, sample))

        edited(self._service, employee.employee_id, None, new_enrolment_id(), change)
        if differ:
            raise differ


def _of_model(employee: Employee, model: str) -> Reference | None:
    second = employee.second
    return second if second and second.model == model else None


def _has_enough(known: Reference | None) -> bool:
    """Return whether a person needs no sample now."""
    if known is None:
        return False
    newest = max(sample.enrolled_at or 0 for sample in known.samples)
    return len(known.samples) >= SAMPLES or time.time() - newest < DAY_S
