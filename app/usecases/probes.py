"""Examine what a person shows to be let in: a photo, and the frames that checks need."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from structlog.contextvars import bind_contextvars

from app.lifecycle import Service
from app.liveness.client import LivenessClient
from app.recognition.challenge import fault
from app.recognition.frame_sequence import fused
from app.stages import stage
from app.storage import Employee, NoSuchEmployee
from app.usecases import LoginFailed
from app.usecases.fraud_detection import Traces, check_frames, check_shape, traces
from app.usecases.liveness_sessions import take_session
from app.usecases.records import Scope
from app.usecases.used_probes import use_once

SURELY_SAME = 0.75
"""Share of α. Only frames whose face is nearer to the photo's than this count for identity and
motion. Photo and frames are of one moment, so they are nearer than two photos of one person."""


class NotAlive(LoginFailed):
    """The liveness service says that the frames show no living face, or they lack the challenge."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Encoded pictures of one moment, and the checks that they must pass, which need frames.

    session_id: of a liveness session, which is used up; the frames must show its challenge. owner:
    id of the caller's API key; "" without keys.
    threshold: replaces α if it is lower. groups: compare only with people who are in one of them.
    """

    photo: bytes
    frames: Sequence[bytes] = ()
    liveness: bool = False
    fraud_detection: bool = False
    threshold: float | None = None
    groups: Scope = None
    session_id: str | None = None
    owner: str = ""

    def limit(self, alpha: float) -> float:
        """Return the distance below which the probe matches."""
        return alpha if self.threshold is None else min(alpha, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A probe that has passed its checks.

    vector: (dimension,) of unit length. seen: the pictures' traces; None if fraud is not checked.
    """

    vector: NDArray[np.float32]
    seen: Traces | None


class Examination:
    """Turns probes into feature vectors, and has their checks done.

    replay_window_s: how long pictures that passed fraud detection cannot be used again, at least.
    """

    def __init__(self, service: Service, liveness: LivenessClient, replay_window_s: float) -> None:
        self._service = service
        self._liveness = liveness
        self._replay_window_s = replay_window_s

    def __call__(self, probe: Probe) -> Examined:
        """Return the feature vector of a probe that passes its checks.

        Raises NotAlive, FraudSuspected, SessionGone, LivenessUnavailable, UnusableImage,
        NotAnImage, BadFrame, NotReady.
        """
        if (probe.fraud_detection or probe.session_id) and not probe.frames:
            raise ValueError("fraud detection and liveness sessions take frames")
        self._service.check_loaded()  # the pictures would be examined in vain
        asked = None
        if probe.session_id is not None:
            asked = take_session(self._service.store, probe.session_id, probe.owner)
        # The liveness service works while this process examines the pictures.
        verdict = self._liveness.ask(probe.frames) if probe.liveness else None
        try:
            with stage("recognition"):
                examined = self._examine(probe, asked)
            alive = verdict is None or verdict.result()
        finally:
            if verdict is not None:
                verdict.cancel()  # not needed if the pictures were refused
        if not alive:
            raise NotAlive
        return examined

    def use(self, examined: Examined, employee: Employee) -> bool:
        """Let nobody use the pictures again, if fraud is checked.

        Returns False if the employee was removed or changed just now. Raises FraudSuspected.
        """
        if examined.seen is not None:
            try:
                with stage("store"):
                    use_once(self._service.store, examined.seen, employee, self._replay_window_s)
            except NoSuchEmployee:
                return False
        return True

    def _examine(self, probe: Probe, asked: str | None) -> Examined:
        """Return the probe's vector and traces. asked: the challenge that the frames must show."""
        recogniser = self._service.recogniser
        if not probe.frames:
            return Examined(recogniser.for_login(probe.photo), None)
        sequence = recogniser.for_frames(probe.photo, probe.frames)
        seen = None
        limits = self._near(1), self._near(SURELY_SAME)
        if asked is not None:
            # Instead of `check_frames`, which takes frames of a head that is held still.
            if reason := fault(sequence, asked, *limits):
                bind_contextvars(challenge=asked, fault=reason)
                raise NotAlive(reason)
        elif probe.fraud_detection:
            check_frames(sequence, *limits)
        if probe.fraud_detection:
            seen = traces(sequence)
            check_shape(seen)
        return Examined(fused(sequence, self._near(SURELY_SAME)), seen)

    def _near(self, share: float) -> float:
        """Return a share of α as an L2 distance of unit vectors."""
        scale = self._service.recogniser.model.distance_scale
        return share * self._service.highest_threshold / scale
