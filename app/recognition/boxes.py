"""Geometry of face boxes: (n, 4) x1, y1, x2, y2 in pixels of a picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]

# Faces that fill a picture: their sides as shares of the picture's, and how far they are off its
# centre, across and down, as shares of their sides.
_SIDES = (0.8, 1, 1.25, 1.55, 1.9)
_SHIFTS = (-0.1, 0, 0.1)


def around(rows: int, columns: int) -> Boxes:
    """Return squares about as large as a picture, and around its centre."""
    share, x, y = (axis.reshape(-1, 1) for axis in np.meshgrid(_SIDES, _SHIFTS, _SHIFTS))
    boxes = np.hstack((x - 0.5, y - 0.5, x + 0.5, y + 0.5)) * share * (rows + columns) / 2
    return np.asarray(boxes + np.array((columns, rows, columns, rows)) / 2)


def moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Return boxes with their corners moved by `offsets` (n, 4), given in widths and heights."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.hstack((size, size))


def squared(boxes: Boxes) -> Boxes:
    """Return squares with the boxes' centres and longer sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack((centre - half, centre + half))


def suppress(boxes: Boxes, scores: Scores, max_overlap: float) -> NDArray[np.intp]:
    """Return the indices of the boxes that non-maximum suppression keeps, the best score first.

    max_overlap: share of two boxes' union beyond which the box with the lower score goes. At
    exactly this overlap, which is common among P-Net's cells, both stay.
    """
    corners_and_sizes = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    keep = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), 0.0, max_overlap)
    return np.asarray(keep, np.intp)


def overlaps(box: NDArray[np.float64], others: Boxes) -> NDArray[np.float64]:
    """Return (n,) the area shared with each other box, as a share of the smaller of the two."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(size, 0), axis=1)
    area = np.prod(others[:, 2:] - others[:, :2], axis=1)
    overlaps: NDArray[np.float64] = shared / np.minimum(np.prod(box[2:] - box[:2]), area)
    return overlaps
