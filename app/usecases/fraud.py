"""Fraud detection: is a login's photo a new one, and its film one of the same living person?"""

from collections.abc import Sequence

import numpy as np

from app.recognition.film import Film, Seen
from app.recognition.motion import motion
from app.recognition.perceptual_hash import difference
from app.usecases import LoginFailed

MOST_SPOILT = 4
"""Frames of 15 that say nothing: without one clear face, or with one that is not surely the
person's. A hand, a jerk or a passer-by may spoil four; more may hide somebody."""

LEAST_MOTION = 0.002
MOST_OF_A_COPY = 48
"""Bits by which the hashes of a photo and its copy differ at most. How these two were chosen:
docs/fraud.md."""


class FraudSuspected(LoginFailed):
    """The message says what a person reads after `Fraud check failed: `."""


def check_film(film: Film, same_person: float, surely_same: float) -> None:
    """Return when the frames are a film of the photo's person, alone. Raises FraudSuspected.

    same_person: L2 distance of unit vectors below which two faces are the same person's.
    surely_same: below which they are so in one film, at the same moment.
    """
    alone = [frame for frame in film.usable if frame.alone]
    if not film.probe.alone or len(film.usable) - len(alone) > MOST_SPOILT:
        raise FraudSuspected("several faces are in front of the camera")
    if len(film.frames) - len(alone) > MOST_SPOILT:
        raise FraudSuspected(f"only {len(alone)} of {len(film.frames)} frames show a clear face")
    # whoever is not surely the photo's person shows nothing of their motion, either
    surely = [frame for frame in alone if _apart(frame, film.probe) < surely_same]
    if (
        any(_apart(frame, film.probe) >= same_person for frame in alone)
        or len(film.frames) - len(surely) > MOST_SPOILT
    ):
        raise FraudSuspected("the frames show another person than the photo")
    if motion(np.stack([frame.face for frame in surely])) < LEAST_MOTION:
        raise FraudSuspected("the face in the frames does not move, blink or say a word")


def check_not_enrolled(probe: Seen, enrolled: Sequence[bytes]) -> None:
    """Return when the photo is no copy of those of the enrolment. Raises FraudSuspected.

    enrolled: their perceptual hashes.
    """
    if difference(probe.face, enrolled) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo is a copy of one from the enrolment")


def check_unused(probe: Seen, used: Sequence[bytes]) -> None:
    """Return when the photo is no copy of those of earlier logins. Raises FraudSuspected.

    used: their perceptual hashes.
    """
    if difference(probe.face, used) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo was used before, take a new one")


def _apart(one: Seen, other: Seen) -> float:
    return float(np.linalg.norm(one.vector - other.vector))
