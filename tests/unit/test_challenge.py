"""What five landmarks say of how a head is turned, and of the moves it makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.recognition.challenge import CHALLENGES, Move, moves, pose

Points = NDArray[np.float64]

HEAD = np.array([[-50, 0, 0], [50, 0, 0], [0, 60, 45], [-40, 110, 5], [40, 110, 5]], float)
"""Eyes, nose and corners of the mouth: x to the right, y down, z towards the camera."""

NEUTRAL = np.zeros(3)
UP, DOWN, RIGHT = np.array([0, -0.3, 0]), np.array([0, 0.3, 0]), np.array([0.3, 0, 0])
LEFT = -RIGHT
angles = st.floats(-0.5, 0.5)


def seen(points: Points, yaw: float, pitch: float, roll: float = 0) -> Points:
    """The points (5, 2) from far away, after the head has turned right, up and over."""
    x, y, z = points.T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y = y * np.cos(pitch) - z * np.sin(pitch)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.stack((x, y), axis=1) @ turn.T + (300, 200)


def turned(yaw: float = 0, pitch: float = 0, roll: float = 0) -> Points:
    """How far the pose is from that of the head that faces the camera."""
    return pose(seen(HEAD, yaw, pitch, roll)) - pose(seen(HEAD, 0, 0))


@given(st.floats(0.2, 0.5), st.floats(-1, 1), st.floats(0.1, 10))
def test_the_nose_goes_where_the_head_turns(angle: float, roll: float, scale: float) -> None:
    assert turned(yaw=angle, roll=roll)[0] > 0.05 > abs(turned(yaw=angle, roll=roll)[1])
    assert turned(yaw=-angle, roll=roll)[0] < -0.05
    assert turned(pitch=angle, roll=roll)[1] < -0.05
    assert turned(pitch=-angle, roll=roll)[1] > 0.05
    assert pose(scale * seen(HEAD, angle, 0)) == pytest.approx(pose(seen(HEAD, angle, 0)))


@given(angles, angles, st.floats(-1, 1))
def test_something_flat_has_one_pose(yaw: float, pitch: float, roll: float) -> None:
    flat = HEAD * (1, 1, 0)
    front = pose(seen(flat, 0, 0))
    tilted = pose(seen(flat, yaw, pitch, roll))
    assert tilted[:2] == pytest.approx(front[:2], abs=1e-6)
    assert tilted[2] - front[2] == pytest.approx(np.log(np.cos(yaw) / np.cos(pitch)), abs=0.2)


@pytest.mark.parametrize(
    ("poses", "expected"),
    [
        ([NEUTRAL] * 3, []),
        ([NEUTRAL, UP / 9, RIGHT / 9], []),
        ([UP, UP, NEUTRAL, UP], [Move.UP]),
        ([NEUTRAL, UP, NEUTRAL, DOWN], [Move.UP, Move.DOWN]),
        ([DOWN, UP], [Move.DOWN, Move.UP]),
        ([LEFT, NEUTRAL, RIGHT], [Move.SIDE, Move.OTHER_SIDE]),
        ([RIGHT, NEUTRAL, LEFT], [Move.SIDE, Move.OTHER_SIDE]),
        ([RIGHT, UP, RIGHT + UP / 2], [Move.SIDE, Move.UP, Move.SIDE]),
    ],
)
def test_moves_come_in_their_order(poses: list[Points], expected: list[Move]) -> None:
    assert moves(np.stack(poses)) == expected


def test_no_two_challenges_ask_for_the_same() -> None:
    assert len(set(CHALLENGES.values())) == len(CHALLENGES)
