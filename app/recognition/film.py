"""What a login's photo and the 15 frames beside it show: a face in each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition.canonical import Plain
from app.recognition.motion import Face


class BadFrame(Exception):
    """A frame of a film is no picture we take. number: which one, from 0."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The face that counts in a picture.

    vector: (dimension,) float32 of unit length. quality: how much it tells of the person, beside
    other pictures of the same moment; at least 0. alone: no second face is nearly as large.
    face: (SIDE, SIDE) uint8, the green channel, for `motion`. Grey mixes channels of which each is
    cut off elsewhere where there is too much light. plain: (SIDE, SIDE, 3) uint8, for `canonical`.
    laid: (2, 3), from points of `plain` to those of the picture.
    """

    vector: NDArray[np.float32]
    quality: float
    alone: bool
    face: Face
    plain: Plain
    laid: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Film:
    """probe: the photo's face. frames: those of the frames, None where one has no usable face."""

    probe: Seen
    frames: Sequence[Seen | None]

    @property
    def usable(self) -> list[Seen]:
        """The faces of the frames that have one."""
        return [frame for frame in self.frames if frame is not None]


def fused(film: Film, near: float) -> NDArray[np.float32]:
    """The probe's vector and those of the frames' faces that are its person, as one.

    near: the L2 distance of unit vectors below which a face is the probe's person. Whoever is
    farther away has no say. Returns (dimension,) float32 of unit length; weighted by quality.
    """
    same = [film.probe]
    same += [s for s in film.usable if np.linalg.norm(s.vector - film.probe.vector) < near]
    total = np.sum([seen.vector * seen.quality for seen in same], axis=0, dtype=np.float64)
    return np.asarray(total / np.linalg.norm(total), np.float32)
