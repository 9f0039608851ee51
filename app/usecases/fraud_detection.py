"""Detect fraud: do the frames show the photo's person, alone, moving and in the same shape?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.recognition.canonical import canonical, stretch
from app.recognition.frame_sequence import FrameSequence, ObservedFace
from app.recognition.motion import motion
from app.recognition.perceptual_hash import perceptual_hash, photo_hashes, usual_hash
from app.usecases import LoginFailed

# How these limits were chosen: docs/fraud.md.
MOST_SPOILT = 4
"""Frames of 15 that may be unusable: without one clear face, or with one that is not surely the
person's. A hand, a jerk or a passer-by may spoil four; more may hide somebody."""
LEAST_MOTION = 0.002
"""Change of the eyes or the mouth, as a share of their contrast; see `motion`."""
MOST_STRETCH = 1.15
"""How much longer in one direction the photo's face may be than that of its frames."""


class FraudSuspected(LoginFailed):
    """The message says what a person reads after `Fraud check failed: `."""


class Traces(NamedTuple):
    """What identifies the pictures of a login if they are sent again.

    photo: its perceptual hashes. frames: one hash of each frame. stretch: how much longer in one
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
        """What is stored: one hash of the photo, and what most of the frames' hashes share."""
        return self.photo[0] + usual_hash(self.frames)


def check_frames(sequence: FrameSequence, same_person: float, surely_same: float) -> None:
    """Return if the frames show the photo's person, alone and moving. Raises FraudSuspected.

    same_person: L2 distance of unit vectors below which two faces are the same person's.
    surely_same: the same for two faces of one frame sequence, taken at the same moment.
    """
    alone = [frame for frame in sequence.usable if frame.alone]
    if not sequence.probe.alone or len(sequence.usable) - len(alone) > MOST_SPOILT:
        raise FraudSuspected("several faces are in front of the camera")
    if len(sequence.frames) - len(alone) > MOST_SPOILT:
        raise FraudSuspected(
            f"only {len(alone)} of {len(sequence.frames)} frames show a clear face"
        )
    # A face that is not surely the person's tells nothing of their motion, either.
    surely = [frame for frame in alone if _distance(frame, sequence.probe) < surely_same]
    if (
        any(_distance(frame, sequence.probe) >= same_person for frame in alone)
        or len(sequence.frames) - len(surely) > MOST_SPOILT
    ):
        raise FraudSuspected("the frames show another person than the photo")
    if motion(np.stack([frame.grey for frame in surely])) < LEAST_MOTION:
        raise FraudSuspected("the face in the frames does not move, blink or say a word")


def traces(sequence: FrameSequence) -> Traces:
    """Return the traces of frames that have passed `check_frames`."""
    observed = [sequence.probe, *sequence.usable]
    faces = [canonical(each.plain) for each in observed]
    views = [
        each.to_picture[:, :2] @ face.view[:, :2]
        for each, face in zip(observed, faces, strict=True)
    ]
    stretches = [stretch(views[0], view) for view in views[1:]]
    return Traces(
        photo_hashes(sequence.probe.plain),
        [perceptual_hash(face) for face in faces[1:]],
        float(np.median(stretches)),
    )


def check_shape(login: Traces) -> None:
    """Raise FraudSuspected if the faces of photo and frames differ in shape."""
    if login.stretch > MOST_STRETCH:
        raise FraudSuspected("the photo and the frames are not of one shape")


def _distance(one: ObservedFace, other: ObservedFace) -> float:
    return float(np.linalg.norm(one.vector - other.vector))
