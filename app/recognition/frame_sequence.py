"""The faces in a login's photo and in the frames sent with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition.canonical import AlignedFace
from app.recognition.motion import GreyFace
from app.recognition.quality import Grade


class BadFrame(Exception):
    """A frame is not an acceptable picture. number: its index, from 0."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


@dataclass(frozen=True, slots=True, eq=False)
class ObservedFace:
    """The main face of a picture."""

    vector: NDArray[np.float32]  # (dimension,), of unit length
    quality: float  # its weight among pictures of the same moment; at least 0
    alone: bool  # no second face is nearly as large
    # (SIDE, SIDE), the green channel, for `motion`: a mixed grey would combine channels that
    # saturate in different places.
    grey: GreyFace
    aligned: AlignedFace  # for `canonical`
    to_picture: NDArray[np.float64]  # (2, 3), from points of `aligned` to points of the picture
    landmarks: NDArray[np.float64]  # (5, 2), as DetectedFace, for `challenge`
    grade: Grade | None = None  # None if it was not measured


@dataclass(frozen=True, slots=True)
class FrameSequence:
    """probe: the photo's face. frames: the face of each frame, None if it has no usable face."""

    probe: ObservedFace
    frames: Sequence[ObservedFace | None]

    @property
    def usable(self) -> list[ObservedFace]:
        """The faces of the frames that have one."""
        return [frame for frame in self.frames if frame is not None]


def fused(sequence: FrameSequence, near: float) -> NDArray[np.float32]:
    """Return the probe's vector combined with those of frames that show the same person.

    near: L2 distance of unit vectors below which two faces are taken for the same person's; other
    frames are ignored. Returns the mean weighted by quality: (dimension,) float32 of unit length.
    """
    probe = sequence.probe
    same = [probe]
    same += [f for f in sequence.usable if np.linalg.norm(f.vector - probe.vector) < near]
    total = np.sum([face.vector * face.quality for face in same], axis=0, dtype=np.float64)
    return np.asarray(total / np.linalg.norm(total), np.float32)
