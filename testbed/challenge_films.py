"""Films of people who perform a challenge, and of attacks on it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition.challenge import CHALLENGES, Move
from app.recognition.image import Picture
from testbed import films
from testbed.films import FRAMES, Camera, Moment, Portrait

_TURN, _NOD = (18, 30), (16, 24)  # degrees: the least and the most that a head is moved
_WOBBLE = 3  # degrees, standard deviation, about the other axis


def performing(challenge: str, rng: np.random.Generator) -> list[Moment]:
    """A living face that faces the camera, makes the moves of a challenge, and comes back."""
    side = rng.choice((-1, 1))
    times, angles = [0.0, rng.uniform(0.5, 1.5)], [np.zeros(2), np.zeros(2)]
    for move in CHALLENGES[challenge]:
        angle = _angle(move, side, rng)
        times += [times[-1] + rng.uniform(2.2, 3.2)]
        times += [times[-1] + rng.uniform(1, 2)]
        angles += [angle, angle]
    times += [times[-1] + rng.uniform(2.2, 3.2), 2 * FRAMES]
    angles += [np.zeros(2), np.zeros(2)]
    return turning(np.array(times), np.array(angles), rng)


def _angle(move: Move, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Yaw and pitch, in degrees."""
    across, along = rng.normal() * _WOBBLE, rng.uniform(*_NOD)
    match move:
        case Move.UP:
            return np.array([across, along])
        case Move.DOWN:
            return np.array([across, -along])
        case _:
            sign = side if move is Move.SIDE else -side
            return np.array([sign * rng.uniform(*_TURN), across])


def turning(
    times: NDArray[np.float64], angles: NDArray[np.float64], rng: np.random.Generator
) -> list[Moment]:
    """A living face whose head passes smoothly through (n, 2) yaws and pitches, in degrees.

    times: (n,), in frames, ascending.
    """
    moments = []
    for number, moment in enumerate(films.alive(rng)):
        after = int(np.clip(np.searchsorted(times, number), 1, len(times) - 1))
        share = np.clip((number - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
        smooth = share * share * (3 - 2 * share)
        yaw, pitch = np.radians(angles[after - 1] + smooth * (angles[after] - angles[after - 1]))
        moments.append(Moment(moment.lids, moment.lips, moment.turn, float(yaw), float(pitch)))
    return moments


def wandering(rng: np.random.Generator) -> list[Moment]:
    """A living face that looks around as it likes, four times in a film."""
    times = np.array([0, 3, 6.5, 10, 13.5])
    angles = rng.uniform(-1, 1, (5, 2)) * (_TURN[1], _NOD[1])
    return turning(times, angles * np.array([[0], [1], [1], [1], [1]]), rng)


def login(
    source: Portrait, moments: Sequence[Moment], rng: np.random.Generator, camera: Camera
) -> tuple[bytes, list[bytes]]:
    """A probe that faces the camera, and the film beside it."""
    probe, *frames = films.filmed(source, [Moment(), *moments], rng, camera)
    return probe, frames


def print_in_hand(
    source: Portrait, moments: Sequence[Moment], rng: np.random.Generator
) -> list[bytes]:
    """A print of the photo that is turned twice as far as the head should be."""
    frames = []
    for moment in moments:
        picture = _seen_flat(source.picture, 2 * moment.yaw, 2 * moment.pitch)
        frames.append(films.jpeg(films.noised(picture.astype(np.float32), 2, rng), 88))
    return frames


def _seen_flat(picture: Picture, yaw: float, pitch: float) -> Picture:
    """A flat picture, turned about its middle, at a distance of twice its width."""
    rows, columns = picture.shape[:2]
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (columns / 2, rows / 2)
    x, y = corners[:, 0] * np.cos(yaw), corners[:, 1]
    depth = -corners[:, 0] * np.sin(yaw)
    y, depth = y * np.cos(pitch) - depth * np.sin(pitch), y * np.sin(pitch) + depth * np.cos(pitch)
    nearness = 2 * columns / (2 * columns - depth)
    middle = np.array([columns / 2, rows / 2])
    seen = np.stack((x * nearness, y * nearness), axis=1) + middle
    view = cv2.getPerspectiveTransform(
        (corners + middle).astype(np.float32), seen.astype(np.float32)
    )
    flags = cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpPerspective(picture, view, (columns, rows), flags=flags, borderValue=(90, 90, 90))
    )


def in_turn(photos: Sequence[Portrait], rng: np.random.Generator, camera: Camera) -> list[bytes]:
    """Photos of one person in a shaking hand, each for as many frames."""
    each = FRAMES // len(photos)
    return [
        frame for photo in photos for frame in films.filmed(photo, [Moment()] * each, rng, camera)
    ]
