"""Detect fraud: check that the frames show the photo's person, alone, moving and undistorted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.recognition.canonical import canonical, stretch
from app.recognition.frame_sequence import FrameSequence, ObservedFace
from app.recognition.motion import motion
from app.recognition.perceptual_hash import perceptual_hash, photo_hashes, usual_hash
from app.usecases import LoginFailed

# docs/fraud.md says how these limits were chosen.
MOST_SPOILT = 4
"""Number of frames that may be unusable: without one clear face, or with one that may be another
person's. A hand, a jerk or a passer-by may spoil four of 15; more may hide somebody."""
LEAST_MOTION = 0.002
"""The least `motion` of a living face, as a share of the contrast of eyes or mouth."""
MOST_STRETCH = 1.15
"""The largest `stretch` to allow between the photo's face and those of the frames."""


class FraudSuspected(LoginFailed):
    """The message is what a person reads after `Fraud check failed: `."""


class Traces(NamedTuple):
    """What identifies the pictures of a login if they are sent again.

    photo: its perceptual hashes. frames: one hash for each frame. stretch: the median `stretch`
    between the photo's face and those of the frames; at least 1.
    """

    photo: Sequence[bytes]
    frames: Sequence[bytes]
    stretch: float

    @property
    def all(self) -> list[bytes]:
        """All hashes of photo and frames."""
        return [*self.photo, *self.frames]

    @property
    def kept(self) -> bytes:
        """The bytes to store: one hash of the photo, and the majority of the frames' hashes."""
        return self.photo[0] + usual_hash(self.frames)


def check_frames(sequence: FrameSequence, same_person: float, surely_same: float) -> None:
    """Raise FraudSuspected unless the frames show the photo's person, alone and moving.

    same_person: L2 distance of unit vectors from which two faces are different people's.
    surely_same: the distance below which they are surely one person's. It is smaller, because
        photo and frames are of one moment. Only frames within it count.
    """
    alone = [frame for frame in sequence.usable if frame.alone]
    if not sequence.probe.alone or len(sequence.usable) - len(alone) > MOST_SPOILT:
        raise FraudSuspected("several faces are in front of the camera")
    if len(sequence.frames) - len(alone) > MOST_SPOILT:
        raise FraudSuspected(
            f"only {len(alone)} of {len(sequence.frames)} frames show a clear face"
        )
    # A face that is not surely the person's is no evidence of their motion, either.
    certain = [frame for frame in alone if _distance(frame, sequence.probe) < surely_same]
    if (
        any(_distance(frame, sequence.probe) >= same_person for frame in alone)
        or len(sequence.frames) - len(certain) > MOST_SPOILT
    ):
        raise FraudSuspected("the photo and the frames show different people")
    if motion(np.stack([frame.grey for frame in certain])) < LEAST_MOTION:
        raise FraudSuspected("the face in the frames does not move, blink or say a word")


def traces(sequence: FrameSequence) -> Traces:
    """Return the traces of pictures that have passed `check_frames`."""
    observed = [sequence.probe, *sequence.usable]
    faces = [canonical(each.aligned) for each in observed]
    views = [
        each.to_picture[:, :2] @ face.view[:, :2]
        for each, face in zip(observed, faces, strict=True)
    ]
    stretches = [stretch(views[0], view) for view in views[1:]]
    return Traces(
        photo_hashes(sequence.probe.aligned),
        [perceptual_hash(face) for face in faces[1:]],
        float(np.median(stretches)),
    )


def check_shape(login: Traces) -> None:
    """Raise FraudSuspected if the face has different proportions in the photo and the frames."""
    if login.stretch > MOST_STRETCH:
        raise FraudSuspected("the face has different proportions in the photo and the frames")


def _distance(one: ObservedFace, other: ObservedFace) -> float:
    return float(np.linalg.norm(one.vector - other.vector))
