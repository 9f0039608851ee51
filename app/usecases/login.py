"""Log a person in: find the employee whose face the probe shows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from structlog.contextvars import bind_contextvars

from app.audit import AuditLog, Fields
from app.gallery.distances import SEPARATES, identified, is_ambiguous
from app.lifecycle import Service
from app.liveness.client import LivenessClient
from app.recognition.challenge import fault
from app.recognition.frame_sequence import fused
from app.stages import stage
from app.storage import Employee, NoSuchEmployee
from app.usecases import LoginFailed
from app.usecases.fraud_detection import Traces, check_frames, check_shape, traces
from app.usecases.liveness_sessions import take_session
from app.usecases.used_probes import use_once

SURELY_SAME = 0.75
"""Share of α. Only frames whose face is nearer to the photo's than this count for identity and
motion. Photo and frames are of one moment, so they are nearer than two photos of one person."""


class NoMatch(LoginFailed):
    """No employee is nearer to the probe than α."""


class Ambiguous(NoMatch):
    """Two employees are about as near to the probe, so it cannot be told which of them it shows."""


class NotAlive(LoginFailed):
    """The liveness service says that the frames show no living face, or they lack the challenge."""


class Login:
    """Finds the employee that a probe shows (1:N identification).

    replay_window_s: how long pictures that passed fraud detection cannot be used again, at least.
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
        session_id: str | None = None,
        owner: str = "",
    ) -> Employee:
        """Return the nearest employee in the whole gallery, if their distance is below α.

        probe: an encoded picture. frames: encoded pictures; all checks need them.
        session_id: of a liveness session, which is used up; the frames must show its challenge.
        owner: id of the caller's API key; "" without keys.
        Raises NoMatch, NotAlive, FraudSuspected, SessionGone, LivenessUnavailable, UnusableImage,
        NotAnImage, BadFrame, NotReady, StoreUnavailable, IndexUnavailable, AuditUnavailable.
        """
        with self._audit.entry("login") as facts:
            facts["model"] = self._service.recogniser.model.name
            self._service.check_loaded()  # the pictures would be examined in vain
            asked = None
            if session_id is not None:
                asked = take_session(self._service.store, session_id, owner)
            if (fraud_detection or asked) and not frames:
                raise ValueError("fraud detection and liveness sessions take frames")
            # The liveness service works while this process examines the pictures.
            verdict = self._liveness.ask(frames) if liveness else None
            try:
                with stage("recognition"):
                    vector, seen = self._examine(probe, frames, fraud_detection, asked)
                alive = verdict is None or verdict.result()
            finally:
                if verdict is not None:
                    verdict.cancel()  # not needed if the pictures were refused
            if not alive:
                raise NotAlive
            # Search last, so that a person removed in the meantime is not let in.
            employee = self._nearest(vector, facts)
            if seen is not None:
                try:
                    with stage("store"):
                        use_once(self._service.store, seen, employee, self._replay_window_s)
                except NoSuchEmployee as error:  # removed or replaced just now
                    raise NoMatch from error
        bind_contextvars(employee_id=employee.employee_id)
        return employee

    def _examine(
        self, probe: bytes, frames: Sequence[bytes], fraud_detection: bool, asked: str | None
    ) -> tuple[NDArray[np.float32], Traces | None]:
        """Return the probe's feature vector, and the pictures' traces if fraud is checked.

        asked: the challenge that the frames must show.
        """
        recogniser = self._service.recogniser
        if not frames:
            return recogniser.for_login(probe), None
        sequence = recogniser.for_frames(probe, frames)
        seen = None
        limits = self._near(1), self._near(SURELY_SAME)
        if asked is not None:
            # Instead of `check_frames`, which takes frames of a head that is held still.
            if reason := fault(sequence, asked, *limits):
                bind_contextvars(challenge=asked, fault=reason)
                raise NotAlive(reason)
        elif fraud_detection:
            check_frames(sequence, *limits)
        if fraud_detection:
            seen = traces(sequence)
            check_shape(seen)
        return fused(sequence, self._near(SURELY_SAME)), seen

    def _near(self, share: float) -> float:
        """Return a share of α as an L2 distance of unit vectors."""
        scale = self._service.recogniser.model.distance_scale
        return share * self._service.highest_threshold / scale

    def _nearest(self, vector: NDArray[np.float32], facts: Fields) -> Employee:
        """Return whom the vector shows. Raises NoMatch.

        The request's log line says the distance, and what would have been needed.
        """
        people = self._service.nearest_people(vector)
        if (found := identified(people)) is None:
            raise NoMatch
        employee, distance = found
        facts["distance"] = round(distance, 4)
        bind_contextvars(distance=facts["distance"])
        threshold = self._service.threshold
        if not distance < threshold:
            bind_contextvars(needed_below=threshold)
            raise NoMatch
        if is_ambiguous(people):
            facts["between"] = [each.employee_id for each, _ in people[:2]]
            gap = round(people[1][1] - people[0][1], 4)
            bind_contextvars(gap=gap, needed_gap=SEPARATES)
            raise Ambiguous
        facts["employee_id"] = employee.employee_id
        return employee
