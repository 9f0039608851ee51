"""Judge whether a person moved the head as a challenge asked.

Eyes and corners of the mouth lie about in a plane, and the nose stands out of it. So where the nose
is seen against the four says how the head is turned (Gee & Cipolla 1994). Its place in their affine
frame does not change with the direction from which something flat is seen (Koenderink & van Doorn
1991): a print or a display can be moved, tilted and turned, but its nose stays where it is.

Cameras may mirror their pictures, and no picture tells. So no challenge asks for left or right,
only for one side and the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.recognition.alignment import affine
from app.recognition.canonical import POINTS
from app.recognition.frame_sequence import FrameSequence, ObservedFace

_Points = NDArray[np.float64]


class Move(StrEnum):
    """What a head does, as a person is told. A side is named by which of the two came first."""

    UP = "look up"
    DOWN = "look down"
    SIDE = "turn your head to one side"
    OTHER_SIDE = "turn your head to the other side"


CHALLENGES: Mapping[str, tuple[Move, Move]] = {
    "look_up_then_down": (Move.UP, Move.DOWN),
    "look_down_then_up": (Move.DOWN, Move.UP),
    "look_up_then_turn": (Move.UP, Move.SIDE),
    "look_down_then_turn": (Move.DOWN, Move.SIDE),
    "turn_then_look_up": (Move.SIDE, Move.UP),
    "turn_then_look_down": (Move.SIDE, Move.DOWN),
    "turn_both_ways": (Move.SIDE, Move.OTHER_SIDE),
}
"""The moves of each challenge, in their order. A film that shows one shows no other."""

# docs/liveness-sessions.md says how these limits were chosen. Distances are in those between eyes.
_FAR = np.array([0.16, 0.13])
"""How far the nose moves sideways, and up or down, when the head makes a move."""
_BACK = 0.6  # share of _FAR below which a move is over
_LONGEST_STEP = 0.35  # from one frame to the next
_LEAST_SHARE = 0.7  # of the frames, that must show the photo's person alone

_NOSE = 2
_PLANE = [0, 1, 3, 4]  # eyes and corners of the mouth
_EYE_DISTANCE = float(np.linalg.norm(POINTS[1] - POINTS[0]))


def fault(sequence: FrameSequence, challenge: str, near: float) -> str | None:
    """Return what the person must do better to have performed a challenge; None if nothing.

    challenge: one of CHALLENGES. near: L2 distance of unit vectors from which two faces are
        different people's; only frames of the photo's person count.
    """
    wanted, poses = CHALLENGES[challenge], _poses(sequence, near)
    if len(poses) < _LEAST_SHARE * len(sequence.frames):
        return f"only {len(poses)} of {len(sequence.frames)} frames show the photo's person alone"
    shown = moves(list(poses.values()), pose(sequence.probe.landmarks))
    if missing := [move for move in wanted if move not in shown]:
        return f"{missing[0]}, and further"
    if tuple(shown) != wanted:
        return f"first {wanted[0]}, then {wanted[1]}, and do nothing else"
    if any(step > _LONGEST_STEP for step in _steps(poses)):
        return "move your head more slowly"
    return None


def pose(landmarks: _Points) -> _Points:
    """Return (2,): where the nose is in the plane of eyes and mouth, in distances between the eyes.

    x grows to the picture's right as the head turns there, y grows as the head bends down.
    landmarks: (5, 2), as DetectedFace.
    """
    to_plane = affine(landmarks[_PLANE], POINTS[_PLANE])
    place = to_plane[:, :2] @ landmarks[_NOSE] + to_plane[:, 2] - POINTS[_NOSE]
    return np.asarray(place / _EYE_DISTANCE)


def moves(poses: Sequence[_Points], neutral: _Points) -> list[Move]:
    """Return the moves in the order in which they begin; one that is repeated at once counts once.

    neutral: the pose of the head when it faces the camera.
    """
    shown: list[Move] = []
    first_side, now = 0.0, None
    for each in poses:
        x, y = (each - neutral) / _FAR
        if max(abs(x), abs(y)) < (_BACK if now else 1):
            now = None
            continue
        if max(abs(x), abs(y)) < 1:
            continue  # on the way back
        if abs(y) >= abs(x):
            now = Move.UP if y < 0 else Move.DOWN
        else:
            first_side = first_side or np.sign(x)
            now = Move.SIDE if x * first_side > 0 else Move.OTHER_SIDE
        if shown[-1:] != [now]:
            shown.append(now)
    return shown


def _poses(sequence: FrameSequence, near: float) -> dict[int, _Points]:
    """Return the pose in each frame, by its number, that shows the photo's person alone."""

    def is_theirs(face: ObservedFace) -> bool:
        return face.alone and bool(np.linalg.norm(face.vector - sequence.probe.vector) < near)

    return {
        number: pose(face.landmarks)
        for number, face in enumerate(sequence.frames)
        if face is not None and is_theirs(face)
    }


def _steps(poses: Mapping[int, _Points]) -> Iterator[float]:
    """Yield how far the nose moves per frame."""
    for (number, here), (next_number, there) in pairwise(poses.items()):
        yield float(np.linalg.norm(there - here)) / (next_number - number)
