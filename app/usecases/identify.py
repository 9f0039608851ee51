"""Login: whose face does a probe show?"""

import time
from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from app.audit import AuditLog, Fields
from app.liveness import LivenessClient
from app.recognition.film import fused
from app.storage import Employee, NoSuchEmployee, UsedProbe
from app.usecases import LoginFailed
from app.usecases.fraud import (
    Traces,
    check_film,
    check_not_enrolled,
    check_shape,
    check_unused,
    traces,
)
from app.usecases.service import Service

log = structlog.get_logger()

SURELY_SAME = 0.75
"""Share of α: nearer than that, a frame's face has a say in whose the probe is, and if it lives.
The frames of a film are of one moment, and nearer to each other than two photos of one person."""


class NoMatch(LoginFailed):
    """No employee is nearer to the probe than α."""


class NotAlive(LoginFailed):
    """The liveness service takes the frames for something else than a living face."""


class Identify:
    """Finds the employee a probe shows (1:N).

    replay_window_s: for how long, at least, pictures that passed fraud detection cannot be used
    again.
    """

    def __init__(
        self,
        service: Service,
        liveness: LivenessClient,
        audit: AuditLog,
        replay_window_s: float,
    ) -> None:
        self._service = service
        self._liveness = liveness
        self._audit = audit
        self._replay_window_s = replay_window_s

    def __call__(
        self,
        probe: bytes,
        frames: Sequence[bytes] = (),
        liveness: bool = False,
        fraud_detection: bool = False,
    ) -> Employee:
        """The nearest employee in the whole gallery.

        probe: an encoded picture. frames: encoded pictures; both checks need them.
        Raises NoMatch, NotAlive, FraudSuspected, LivenessUnavailable, UnusableImage, NotAnImage,
        BadFrame, NotReady, StoreUnavailable, IndexUnavailable, AuditUnavailable.
        """
        with self._audit.entry("login") as facts:
            return self._identify(probe, frames, liveness, fraud_detection, facts)

    def _identify(
        self,
        probe: bytes,
        frames: Sequence[bytes],
        liveness: bool,
        fraud_detection: bool,
        facts: Fields,
    ) -> Employee:
        if fraud_detection and not frames:
            raise ValueError("fraud detection takes frames")
        facts["model"] = self._service.recogniser.model.name
        # answered while we look at the pictures
        verdict = self._liveness.ask(frames) if liveness else None
        try:
            vector, looked = self._look(probe, frames, fraud_detection)
            alive = verdict is None or verdict.result()
        finally:
            if verdict is not None:
                verdict.cancel()  # if the pictures are refused, nobody waits for it
        # before the search, so that whoever is removed meanwhile is not let in
        if not alive:
            raise NotAlive
        employee = self._nearest(vector, facts)
        if looked is not None:
            self._use(looked, employee)
        log.info("login", employee_id=employee.employee_id, distance=facts["distance"])
        return employee

    def _look(
        self, probe: bytes, frames: Sequence[bytes], fraud_detection: bool
    ) -> tuple[NDArray[np.float32], Traces | None]:
        """The feature vector of the probe, and the traces of its pictures if fraud is checked."""
        recogniser = self._service.recogniser
        if not frames:
            return recogniser.for_login(probe), None
        film = recogniser.for_film(probe, frames)
        looked = None
        if fraud_detection:
            check_film(film, self._near(1), self._near(SURELY_SAME))
            looked = traces(film)
            check_shape(looked)
        return fused(film, self._near(SURELY_SAME)), looked

    def _near(self, share: float) -> float:
        """A share of α, as an L2 distance of unit vectors."""
        return share * self._service.threshold / self._service.recogniser.model.distance_scale

    def _nearest(self, vector: NDArray[np.float32], facts: Fields) -> Employee:
        nearest = self._service.nearest(vector)
        if nearest is None:
            raise NoMatch
        employee, distance = nearest
        facts["distance"] = round(distance, 4)
        if not distance < self._service.threshold:
            raise NoMatch
        facts["employee_id"] = employee.employee_id
        return employee

    def _use(self, login: Traces, employee: Employee) -> None:
        """Let the pictures log in once. Raises FraudSuspected, NoMatch, StoreUnavailable."""
        check_not_enrolled(login, employee.photo_hashes)
        now = time.time()
        window_s = self._replay_window_s
        used = UsedProbe(login.kept, now + window_s)
        try:
            self._service.store.use_probe(
                employee, used, lambda others: check_unused(login, others, now, window_s)
            )
        except NoSuchEmployee as error:  # removed or replaced this moment
            raise NoMatch from error
