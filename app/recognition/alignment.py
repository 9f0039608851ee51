"""Where in the picture the chip lies that a face model takes."""

import numpy as np
from numpy.typing import NDArray

from app.recognition.detector import DetectedFace
from models.catalogue import BoxAlignment, FaceModel, LandmarkAlignment


def chip_to_picture(face: DetectedFace, model: FaceModel) -> NDArray[np.float64]:
    """(2, 3) transform from points of the chip `model` takes to points of the picture."""
    match model.alignment:
        case LandmarkAlignment(points):
            return similarity(np.array(points), face.landmarks)
        case BoxAlignment(margin):
            return _stretch(face.box, margin, model.side)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The turn, scale and shift that brings `source` nearest to `target` (least squares).

    source, target: (n, 2) points. Returns (2, 3). Umeyama 1991; in two dimensions, a complex
    linear regression.
    """
    centre, goal = source.mean(axis=0), target.mean(axis=0)
    (x, y), (u, v) = (source - centre).T, (target - goal).T
    spread = (x**2 + y**2).sum()
    a, b = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.hstack((turn, (goal - turn @ centre)[:, None]))


def affine(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine transform that brings `source` nearest to `target` (least squares).

    source, target: (n, 2) points, of `source` not all on a line. Returns (2, 3).
    """
    found, *_ = np.linalg.lstsq(np.hstack((source, np.ones((len(source), 1)))), target)
    return np.asarray(found.T)


def _stretch(box: NDArray[np.float64], margin: float, side: int) -> NDArray[np.float64]:
    """Chip → box with a margin, given as the share of the chip's side that both sides take."""
    x1, y1, x2, y2 = box
    width, height = (x2 - x1) / (1 - margin), (y2 - y1) / (1 - margin)
    left, top = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    return np.array([[width / side, 0, left], [0, height / side, top]])
