"""Turn the head in a photo: where each pixel of the turned face comes from.

A face is taken for a smooth relief with a nose, on the plane of the picture, that is turned about
a vertical and a horizontal axis and seen from far away.
"""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

_STEPS = 12  # of the fixed point; the relief is flat enough for it to converge up to 30°
_CENTRE = 0.5  # below the eyes
_PLANE = 0.9  # height of eyes and mouth, about which the head turns


def origin(
    x: Field, y: Field, landmarks: NDArray[np.float64], yaw: float, pitch: float
) -> tuple[Field, Field]:
    """Return the points of the photo that are seen at (x, y), in pixels, after the turn.

    landmarks: (5, 2), of the face in the photo.
    yaw: radians, positive to the picture's right. pitch: radians, positive up.
    """
    eye, other_eye = landmarks[:2]
    middle, axis = (eye + other_eye) / 2, other_eye - eye
    apart = float(np.hypot(*axis))
    u, v = axis / apart
    # along and across the line of the eyes, in distances between them
    along = ((x - middle[0]) * u + (y - middle[1]) * v) / apart
    across = ((y - middle[1]) * u - (x - middle[0]) * v) / apart
    p, q = _origin(along, across, yaw, pitch)
    p, q = p * np.float32(apart), q * np.float32(apart)
    return _field(middle[0] + p * u - q * v), _field(middle[1] + p * v + q * u)


def _origin(x: Field, y: Field, yaw: float, pitch: float) -> tuple[Field, Field]:
    p, q = x, y - _CENTRE
    for _ in range(_STEPS):
        height = _relief(p, q + _CENTRE) - _PLANE
        p = (x - height * np.sin(yaw)) / np.cos(yaw)
        depth = height * np.cos(yaw) - p * np.sin(yaw)
        q = (y - _CENTRE + depth * np.sin(pitch)) / np.cos(pitch)
    return p, q + _CENTRE


def _relief(x: Field, y: Field) -> Field:
    """Return how far the face stands out of the picture, in distances between the eyes."""
    skull = 1.2 * np.exp(-0.9 * ((x / 1.05) ** 2 + ((y - 0.35) / 1.55) ** 2))
    nose = 0.3 * np.exp(-((x / 0.17) ** 2 + ((y - 0.6) / 0.26) ** 2) / 2)
    return _field(skull + nose)


def _field(values: NDArray[np.floating]) -> Field:
    return np.asarray(values, np.float32)
