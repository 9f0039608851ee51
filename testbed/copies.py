"""Ways to alter a stolen picture so that it is not recognised as a copy."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition.image import Picture
from testbed.films import jpeg
from testbed.photos import picture

Change = Callable[[Picture], Picture]


def _affine(*rows: tuple[float, float]) -> Change:
    """Every point moved by a (2, 2) matrix; the picture grows as it must."""

    def change(picture: Picture) -> Picture:
        down, across = picture.shape[:2]
        corners = np.array([[0, 0], [across, 0], [across, down], [0, down]]) @ np.array(rows).T
        start = corners.min(axis=0)
        columns, lines = np.ceil(corners.max(axis=0) - start).astype(int).tolist()
        move = np.hstack((np.array(rows, np.float64), -start[:, None]))
        return np.asarray(cv2.warpAffine(picture, move, (columns, lines)))

    return change


def _toned(
    channels: Sequence[int], curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Change:
    """Some channels changed by a curve of [0, 1]."""
    tones = np.clip(curve(np.arange(256) / 255) * 255 + 0.5, 0, 255).astype(np.uint8)

    def change(picture: Picture) -> Picture:
        changed = picture.copy()
        changed[..., channels] = tones[picture[..., channels]]
        return changed

    return change


def _after(*changes: Change) -> Change:
    def change(picture: Picture) -> Picture:
        for each in changes:
            picture = each(picture)
        return picture

    return change


def _cropped(picture: Picture) -> Picture:
    rows, columns = (round(0.1 * side) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[rows:-rows, columns:-columns])


STRETCHES: dict[str, Change] = {
    "squeezed to 75 % of its width": _affine((0.75, 0), (0, 1)),
    "squeezed to 80 % of its height": _affine((1, 0), (0, 0.8)),
    "sheared by 0.25": _affine((1, 0.25), (0, 1)),
    "sheared upwards by 0.2": _affine((1, 0), (0.2, 1)),
    "turned by 20°": _affine((0.94, -0.342), (0.342, 0.94)),
    "mirrored and squeezed": _after(
        lambda picture: np.ascontiguousarray(picture[:, ::-1]), _affine((0.8, 0), (0, 1))
    ),
    "cropped and stretched": _after(_cropped, _affine((1.25, 0.05), (0, 1))),
}
"""Affine changes."""

TONES: dict[str, Change] = {
    "of gamma 0.5": _toned((0, 1, 2), lambda tone: tone**0.5),
    "of gamma 2": _toned((0, 1, 2), lambda tone: tone**2),
    "of much contrast": _toned((0, 1, 2), lambda tone: 1 / (1 + np.exp((0.5 - tone) * 9))),
    "in another gamma for each colour": _after(
        _toned((0,), lambda tone: tone**0.6), _toned((2,), lambda tone: tone**1.7)
    ),
    "with the green above half inverted": _toned((1,), lambda tone: np.minimum(tone, 1 - tone)),
    "with the green below half inverted": _toned((1,), lambda tone: np.maximum(tone, 1 - tone)),
    "without green": _toned((1,), lambda tone: np.full_like(tone, 0.5)),
    "in eight tones": _toned((0, 1, 2), lambda tone: np.floor(tone * 7.99) / 8 + 0.06),
}
"""Curves of tones."""


def changed(data: bytes, change: Change, quality: int = 90) -> bytes:
    """A picture's file after a change."""
    return jpeg(change(picture(data)), quality)
