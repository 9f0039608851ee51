"""Verify a person: does the probe show the employee they claim to be?"""

from structlog.contextvars import bind_contextvars

from app.audit import AuditLog, Fields
from app.gallery.distances import comparable, in_groups, ranked
from app.lifecycle import Service
from app.stages import stage
from app.storage import Employee
from app.usecases import LoginFailed
from app.usecases.migration import Migration
from app.usecases.probes import Examination, Examined, Probe


class NotVerified(LoginFailed):
    """The probe is not near enough to that employee, or there is none."""


class Verification:
    """Compares a probe with one employee (1:1), by the plain distance to the nearest template.

    threshold: α, below which they match. It is not that of an identification, in which a stranger
    has as many chances as there are employees.
    """

    def __init__(
        self,
        service: Service,
        examine: Examination,
        audit: AuditLog,
        migration: Migration,
        threshold: float,
    ) -> None:
        self._service = service
        self._examine = examine
        self._audit = audit
        self._migration = migration
        self._threshold = threshold

    def __call__(self, probe: Probe, employee_id: int) -> None:
        """Return if the probe shows that employee.

        Whether there is such an employee makes no difference to the caller: the pictures are
        examined first, and take nearly all of the time.
        Raises NotVerified, and what Login raises except NoMatch.
        """
        with self._audit.entry("verify", employee_id=employee_id) as facts:
            facts["model"] = self._service.recogniser.model.name
            examined = self._examine(probe)
            employee = self._matching(employee_id, examined, probe, facts)
            while not self._examine.use(examined, employee):
                employee = self._matching(employee_id, examined, probe, facts)
        bind_contextvars(employee_id=employee_id)
        self._migration(employee, probe, facts["distance"], self._threshold)

    def _matching(
        self, employee_id: int, examined: Examined, probe: Probe, facts: Fields
    ) -> Employee:
        """Return the employee as they are stored now. Raises NotVerified."""
        model = self._service.recogniser.model
        with stage("store"):
            stored = self._service.store.get([employee_id], may_lag=True)
        known = comparable(in_groups(stored, probe.groups), model)
        found = ranked(known, examined.vector, model)
        if not found:
            raise NotVerified
        employee, distance = found[0]
        facts["distance"] = round(distance, 4)
        bind_contextvars(distance=facts["distance"])
        threshold = probe.limit(self._threshold)
        if not distance < threshold:
            facts["needed_below"] = threshold
            bind_contextvars(needed_below=threshold)
            raise NotVerified
        return employee
