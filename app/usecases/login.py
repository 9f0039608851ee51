"""Log a person in: find the employee whose face the probe shows."""

import numpy as np
from numpy.typing import NDArray
from structlog.contextvars import bind_contextvars

from app.audit import AuditLog, Fields
from app.gallery.distances import SEPARATES, identified, is_ambiguous
from app.lifecycle import Service
from app.storage import Employee
from app.usecases import LoginFailed
from app.usecases.migration import Migration
from app.usecases.probes import Examination, Probe


class NoMatch(LoginFailed):
    """No employee is nearer to the probe than α."""


class Ambiguous(NoMatch):
    """Two employees are about as near to the probe, so it cannot be told which of them it shows."""


class Login:
    """Finds the employee that a probe shows (1:N identification)."""

    def __init__(
        self, service: Service, examine: Examination, audit: AuditLog, migration: Migration
    ) -> None:
        self._service = service
        self._examine = examine
        self._audit = audit
        self._migration = migration

    def __call__(self, probe: Probe) -> Employee:
        """Return the nearest employee in the gallery, if their distance is below α.

        Raises NoMatch, NotAlive, FraudSuspected, LivenessUnavailable, UnusableImage, NotAnImage,
        BadFrame, NotReady, StoreUnavailable, IndexUnavailable, AuditUnavailable.
        """
        with self._audit.entry("login") as facts:
            facts["model"] = self._service.recogniser.model.name
            examined = self._examine(probe)
            # Search last, so that a person removed in the meantime is not let in.
            employee = self._nearest(examined.vector, probe, facts)
            while not self._examine.use(examined, employee):
                employee = self._nearest(examined.vector, probe, facts)
        bind_contextvars(employee_id=employee.employee_id)
        self._migration(employee, probe, facts["distance"], self._service.threshold)
        return employee

    def _nearest(self, vector: NDArray[np.float32], probe: Probe, facts: Fields) -> Employee:
        """Return whom the vector shows. Raises NoMatch.

        The request's log line says the distance, and what would have been needed.
        """
        people = self._service.nearest_people(vector, probe.groups)
        if (found := identified(people)) is None:
            raise NoMatch
        employee, distance = found
        facts["distance"] = round(distance, 4)
        bind_contextvars(distance=facts["distance"])
        threshold = probe.limit(self._service.threshold)
        if not distance < threshold:
            facts["needed_below"] = threshold
            bind_contextvars(needed_below=threshold)
            raise NoMatch
        if is_ambiguous(people):
            facts["between"] = [each.employee_id for each, _ in people[:2]]
            gap = round(people[1][1] - people[0][1], 4)
            bind_contextvars(gap=gap, needed_gap=SEPARATES)
            raise Ambiguous
        facts["employee_id"] = employee.employee_id
        return employee
