"""Fraud detection: is a login's photo a new one, and its film one of the same living person?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.recognition.canonical import canonical, stretch
from app.recognition.film import Film, Seen
from app.recognition.motion import motion
from app.recognition.perceptual_hash import (
    BYTES,
    difference,
    perceptual_hash,
    photo_hashes,
    usual_hash,
)
from app.storage import UsedProbe
from app.usecases import LoginFailed

MOST_SPOILT = 4
"""Frames of 15 that say nothing: without one clear face, or with one that is not surely the
person's. A hand, a jerk or a passer-by may spoil four; more may hide somebody."""

LEAST_MOTION = 0.002
MOST_OF_A_COPY = 64
"""Bits by which the hashes of a photo and its copy differ at most."""
MOST_STRETCH = 1.15
"""How much longer in one direction the photo's face may be than that of its frames. How these three
were chosen: docs/fraud.md."""

MOST_USED = 1_000
"""Logins of one person that are remembered. Only those that succeed are, so nobody but the person
can fill this; it also bounds what a login compares."""
ALWAYS_KEPT = 100
"""The last logins that are remembered whatever the clock says, for it may jump."""


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


class Traces(NamedTuple):
    """What tells the pictures of a login if they are sent again.

    photo: its perceptual hashes. frames: one of each frame. stretch: how much longer in one
    direction the photo's face is than that of a frame, in the median; at least 1.
    """

    photo: Sequence[bytes]
    frames: Sequence[bytes]
    stretch: float

    @property
    def all(self) -> list[bytes]:
        """The hashes of photo and frames."""
        return [*self.photo, *self.frames]

    @property
    def kept(self) -> bytes:
        """What is remembered: a hash of the photo, and what most of the frames' have."""
        return self.photo[0] + usual_hash(self.frames)


def traces(film: Film) -> Traces:
    """The traces of a film that has passed `check_film`."""
    seen = [film.probe, *film.usable]
    faces = [canonical(each.plain) for each in seen]
    views = [each.laid[:, :2] @ face.view[:, :2] for each, face in zip(seen, faces, strict=True)]
    stretches = [stretch(views[0], view) for view in views[1:]]
    return Traces(
        photo_hashes(film.probe.plain),
        [perceptual_hash(face) for face in faces[1:]],
        float(np.median(stretches)),
    )


def check_shape(login: Traces) -> None:
    """Return when photo and frames are of one shape. Raises FraudSuspected."""
    if login.stretch > MOST_STRETCH:
        raise FraudSuspected("the photo and the frames are not of one shape")


def check_not_enrolled(login: Traces, enrolled: Sequence[bytes]) -> None:
    """Return when no picture is a copy of a photo of the enrolment. Raises FraudSuspected.

    enrolled: their perceptual hashes.
    """
    if difference(login.all, enrolled) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo is a copy of one from the enrolment")


def hashes_of(used: Sequence[UsedProbe]) -> list[bytes]:
    """The perceptual hashes that are remembered."""
    return [
        probe.photo_hash[start : start + BYTES]
        for probe in used
        for start in range(0, len(probe.photo_hash), BYTES)
    ]


def check_unused(login: Traces, used: Sequence[UsedProbe], now: float, window_s: float) -> int:
    """How many of the oldest may be forgotten, if no picture is a copy of an earlier login's.

    used: what is remembered of those, the oldest first. now: seconds since 1970. window_s: for how
    long they must be remembered; one that is to be remembered for longer is of a clock that was
    wrong. Raises FraudSuspected, also if no more can be remembered.
    """
    if difference(login.all, hashes_of(used)) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo was used before, take a new one")
    may_go = [not now < probe.until <= now + window_s for probe in used[: 1 - ALWAYS_KEPT]]
    forgotten = may_go.index(False) if False in may_go else len(may_go)
    if len(used) - forgotten >= MOST_USED:
        raise FraudSuspected("you have logged in too often, try again later")
    return forgotten


def _apart(one: Seen, other: Seen) -> float:
    return float(np.linalg.norm(one.vector - other.vector))
