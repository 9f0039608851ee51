"""Login: whose face does a probe show?"""

import structlog

from app.audit import AuditLog, Fields
from app.liveness import LivenessClient
from app.storage import Employee
from app.usecases.service import Service

log = structlog.get_logger()


class LoginFailed(Exception):
    """A login was refused for what the probe shows: it counts against whoever tries."""


class NoMatch(LoginFailed):
    """No employee is nearer to the probe than α."""


class NotAlive(LoginFailed):
    """The liveness service takes the frames for something else than a living face."""


class Identify:
    """Finds the employee a probe shows (1:N)."""

    def __init__(self, service: Service, liveness: LivenessClient, audit: AuditLog) -> None:
        self._service = service
        self._liveness = liveness
        self._audit = audit

    def __call__(
        self, probe: bytes, crop: bool = True, frames: list[str] | None = None
    ) -> Employee:
        """The nearest employee in the whole gallery.

        probe: an encoded picture. crop: False takes the whole picture as the face.
        frames: base64 pictures for the liveness service; None asks for no liveness.
        Raises NoMatch, NotAlive, LivenessUnavailable, UnusableImage, NotAnImage, NotReady,
        StoreUnavailable, IndexUnavailable, AuditUnavailable.
        """
        with self._audit.entry("login") as facts:
            return self._identify(probe, crop, frames, facts)

    def _identify(
        self, probe: bytes, crop: bool, frames: list[str] | None, facts: Fields
    ) -> Employee:
        facts["model"] = self._service.recogniser.model.name
        vector = self._service.recogniser.for_login(probe, crop)
        # before the search, so that whoever is removed meanwhile is not let in
        if frames is not None and not self._liveness.alive(frames):
            raise NotAlive
        nearest = self._service.gallery.nearest(vector)
        if nearest is None:
            raise NoMatch
        employee, distance = nearest
        facts["distance"] = round(distance, 4)
        if not distance < self._service.threshold:
            raise NoMatch
        facts["employee_id"] = employee.employee_id
        log.info("login", employee_id=employee.employee_id, distance=round(distance, 4))
        return employee
