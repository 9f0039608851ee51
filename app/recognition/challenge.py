"""Judge whether a person moved the head as a challenge asked.

Eyes and corners of the mouth lie about in a plane, and the nose stands out of it. So where the nose
is seen against the four says how the head is turned (Gee & Cipolla 1994). Its place in their affine
frame does not change with the direction from which something flat is seen (Koenderink & van Doorn
1991): a print or a display can be moved, tilted and turned, but its nose stays where it is.

Cameras may mirror their pictures, and no picture tells. So no challenge asks for left or right,
only for one side and the other.
"""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.recognition.alignment import affine
from app.recognition.canonical import POINTS
from app.recognition.frame_sequence import FrameSequence

_Points = NDArray[np.float64]
_Poses = NDArray[np.float64]


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

# docs/liveness-sessions.md says how these limits were chosen.
_FAR = np.array([0.08, 0.065])
"""How far a move takes the nose sideways, and up or down, in distances between the eyes."""
_SCALES = (1, 1.25, 1.5)  # of _FAR that are tried, because some noses and movers go farther
_MOST_NARROWED = 1.25  # how many times narrower or lower a face may look than from the front
_JUMP = 0.5  # share of the nose's whole way that its two longest steps may be
_THEIRS, _SURELY_THEIRS = 0.7, 0.4
"""The least shares of the frames that show the photo's person alone, and that surely do. A face
that is turned is farther from the photo's than one that faces the camera."""

_TINY = 1e-9
_NOSE = 2
_PLANE = [0, 1, 3, 4]  # eyes and corners of the mouth
_EYE_DISTANCE = float(np.linalg.norm(POINTS[1] - POINTS[0]))


def fault(
    sequence: FrameSequence, challenge: str, same_person: float, surely_same: float
) -> str | None:
    """Return what the person must do better to have performed a challenge; None if nothing.

    Only frames of the photo's person count. challenge: one of CHALLENGES; the other parameters are
    those of `fraud_detection.check_frames`.
    """
    probe, count = sequence.probe, len(sequence.frames)
    alone = [face for face in sequence.usable if face.alone]
    apart = np.array([np.linalg.norm(face.vector - probe.vector) for face in alone])
    theirs = apart < same_person
    if not probe.alone or theirs.sum() < max(1, _THEIRS * count):
        return f"only {theirs.sum()} of {count} frames show the photo's person alone"
    if (apart < surely_same).sum() < _SURELY_THEIRS * count:
        return "face the camera before and after you move"
    own = [face.landmarks for face, is_theirs in zip(alone, theirs, strict=True) if is_theirs]
    return _moves_fault(pose(probe.landmarks), np.stack([pose(each) for each in own]), challenge)


def _moves_fault(photo: _Poses, poses: _Poses, challenge: str) -> str | None:
    """Return what is wrong with the moves of a film, as `fault`. photo: (3,). poses: (n, 3)."""
    wanted = CHALLENGES[challenge]
    # The head faces the camera at least twice of photo, begin and end.
    turned = _smooth(poses - np.median([photo, poses[0], poses[-1]], axis=0))
    if missing := [move for move in wanted if move not in moves(turned)]:
        return f"{missing[0]}, and further"
    if all(tuple(moves(turned / scale)) != wanted for scale in _SCALES):
        return f"first {wanted[0]}, then {wanted[1]}, and do nothing else"
    # The network that finds the landmarks errs about a print that is turned as far as this.
    if abs(turned[:, 2]).max() > np.log(_MOST_NARROWED):
        return "do not turn your head so far"
    steps = np.sort(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1))
    if steps[-2:].sum() > _JUMP * steps.sum():
        return "move your head more slowly"  # several photos, shown one after another, jump
    return None


def pose(landmarks: _Points) -> _Poses:
    """Return (3,): where the nose is in the plane of eyes and mouth, and the face's proportion.

    The nose's x grows as the head turns to the picture's right, y as it bends down, in distances
    between the eyes. The proportion is the logarithm of width over height: from eye to eye, and
    from eyes to mouth. landmarks: (5, 2), as DetectedFace.
    """
    to_plane = affine(landmarks[_PLANE], POINTS[_PLANE])
    place = to_plane[:, :2] @ landmarks[_NOSE] + to_plane[:, 2] - POINTS[_NOSE]
    across = landmarks[1] - landmarks[0]
    down = (landmarks[3] + landmarks[4] - landmarks[0] - landmarks[1]) / 2
    width, height = np.maximum(np.linalg.norm((across, down), axis=1), _TINY)
    return np.append(place / _EYE_DISTANCE, np.log(width / height))


def moves(turned: _Poses) -> list[Move]:
    """Return the moves in the order in which they begin; one that is repeated at once counts once.

    turned: (n, 3), for each moment how far the pose is from that of a head that faces the camera.
    """
    shown: list[Move] = []
    first_side = 0.0
    for x, y in turned[:, :2] / _FAR:
        if max(abs(x), abs(y)) < 1:
            continue
        if abs(y) >= abs(x):
            move = Move.UP if y < 0 else Move.DOWN
        else:
            first_side = first_side or x
            move = Move.SIDE if x * first_side > 0 else Move.OTHER_SIDE
        if shown[-1:] != [move]:
            shown.append(move)
    return shown


def _smooth(turned: _Poses) -> _Poses:
    """Return (n, 3), each moment averaged with its neighbours: landmarks jitter."""
    padded = np.pad(turned, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)
