"""Find the chip, the crop that a face model takes, in a picture."""

import numpy as np
from numpy.typing import NDArray

from app.recognition.detector import DetectedFace
from models.catalogue import BoxAlignment, FaceModel, LandmarkAlignment


def chip_to_picture(face: DetectedFace, model: FaceModel) -> NDArray[np.float64]:
    """Return the (2, 3) transform from points of the model's chip to points of the picture."""
    match model.alignment:
        case LandmarkAlignment(points):
            return similarity(np.array(points), face.landmarks)
        case BoxAlignment(margin):
            return _chip_to_box(face.box, margin, model.side)


def middle(to_picture: NDArray[np.float64], share: float, side: int) -> NDArray[np.float64]:
    """Return the transform of a chip that shows only the middle of another one.

    to_picture: the other chip's transform. share: what to show of its side, in (0, 1].
    """
    linear, offset = to_picture[:, :2], to_picture[:, 2]
    margin = np.full(2, side * (1 - share) / 2)
    return np.hstack((linear * share, (linear @ margin + offset)[:, None]))


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation, scale and shift that fit `source` to `target` best (least squares).

    source, target: (n, 2) points. Returns (2, 3). Umeyama 1991; in two dimensions, a complex
    linear regression.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    (x, y), (u, v) = (source - source_mean).T, (target - target_mean).T
    variance = (x**2 + y**2).sum()
    a, b = (x * u + y * v).sum() / variance, (x * v - y * u).sum() / variance
    rotation = np.array([[a, -b], [b, a]])
    return np.hstack((rotation, (target_mean - rotation @ source_mean)[:, None]))


def affine(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine transform that fits `source` to `target` best (least squares).

    source, target: (n, 2) points; those of `source` are not all on one line. Returns (2, 3).
    """
    solution, *_ = np.linalg.lstsq(np.hstack((source, np.ones((len(source), 1)))), target)
    return np.asarray(solution.T)


def _chip_to_box(box: NDArray[np.float64], margin: float, side: int) -> NDArray[np.float64]:
    """Return the transform from a chip to a box with margins.

    margin: share of the chip's side that two opposite margins take together.
    """
    x1, y1, x2, y2 = box
    width, height = (x2 - x1) / (1 - margin), (y2 - y1) / (1 - margin)
    left, top = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    return np.array([[width / side, 0, left], [0, height / side, top]])
