"""A picture at several scales, and crops from it that may reach beyond its edge."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition.image import Picture

_MIN_SIDE = 24  # pixels; smaller pictures are not halved


GREY = 128  # of [0, 255]; about 0 as the networks take it


class Pyramid:
    """A picture, halved again and again by area averaging, so that no crop skips pixels.

    Beyond the picture's edge, crops are black, as in the original MTCNN. If crops were clipped at
    the edge and stretched, the boxes of close-ups would fly far out of the picture.

    beyond: a grey in [0, 255] to use there instead of black.
    """

    def __init__(self, picture: Picture, beyond: int = 0) -> None:
        self.picture = picture
        self._beyond = (beyond,) * 3
        self._halves = [picture]

    def resized(self, scale: float, margin: int) -> Picture:
        """Return the picture resized by `scale`, with a plain margin.

        The size is rounded to whole pixels. margin: in pixels.
        """
        rows, columns = self.picture.shape[:2]
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        small = cv2.resize(self._at(1 / scale), size, interpolation=cv2.INTER_AREA)
        padded = cv2.copyMakeBorder(small, *(margin,) * 4, cv2.BORDER_CONSTANT, value=self._beyond)
        return np.asarray(padded, np.uint8)

    def warped(self, to_picture: NDArray[np.float64], side: int) -> Picture:
        """Return the chip (side, side, 3) uint8 that an affine transform takes from the picture.

        to_picture: (2, 3), from points of the chip to points of the picture. In both, the centre of
        the top left pixel is (0.5, 0.5).
        """
        chip: Picture = self._chips(to_picture[None], side)[0]
        return chip

    def boxes(self, boxes: NDArray[np.float64], side: int) -> Picture:
        """Return crops (n, side, side, 3) uint8 of boxes (n, 4) x1, y1, x2, y2, stretched."""
        stretches = np.zeros((len(boxes), 2, 3))
        stretches[:, :, 2] = boxes[:, :2]
        stretches[:, (0, 1), (0, 1)] = (boxes[:, 2:] - boxes[:, :2]) / side
        return self._chips(stretches, side)

    def _chips(self, to_picture: NDArray[np.float64], side: int) -> Picture:
        """Return chips (n, side, side, 3) uint8. to_picture: (n, 2, 3), as in `warped`."""
        sources = [self._at(magnification(each)) for each in to_picture]
        shapes = np.array([source.shape[1::-1] for source in sources]).reshape(-1, 2, 1)
        transforms = to_picture.copy()
        transforms[..., 2] += transforms[..., :2].sum(axis=2) / 2
        transforms *= shapes / np.reshape(self.picture.shape[1::-1], (2, 1))
        transforms[..., 2] -= 0.5  # OpenCV counts from pixel centres, this class from corners
        chips = np.empty((len(to_picture), side, side, 3), np.uint8)
        for chip, transform, source in zip(chips, transforms, sources, strict=True):
            cv2.warpAffine(
                source,
                transform,
                (side, side),
                dst=chip,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=self._beyond,
            )
        return chips

    def _at(self, shrinkage: float) -> Picture:
        """Return the smallest halved picture from which to shrink the picture by this factor."""
        level = int(math.log2(max(shrinkage, 1)))
        while len(self._halves) <= level and min(self._halves[-1].shape[:2]) >= _MIN_SIDE:
            rows, columns = self._halves[-1].shape[:2]
            size = ((columns + 1) // 2, (rows + 1) // 2)
            half = cv2.resize(self._halves[-1], size, interpolation=cv2.INTER_AREA)
            self._halves.append(np.asarray(half, np.uint8))
        return self._halves[min(level, len(self._halves) - 1)]


def magnification(transform: NDArray[np.float64]) -> float:
    """Return how many target pixels a (2, 3) transform makes of a source pixel, along a side."""
    (a, b, _), (c, d, _) = transform.tolist()
    return math.sqrt(abs(a * d - b * c))
