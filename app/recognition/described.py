"""Describe the faces of a photo in its own pixels, upright as its EXIF orientation says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition import UnusableImage
from app.recognition.detector import DetectedFace
from app.recognition.face_search import View
from app.recognition.image import Photo
from app.recognition.quality import Quality


@dataclass(frozen=True, slots=True)
class DescribedFace:
    """A face in pixels of the photo, how good it is, and why it cannot be enrolled, if it cannot.

    flaw: None if it can.
    """

    face: DetectedFace
    quality: Quality
    flaw: UnusableImage | None


@dataclass(frozen=True, slots=True)
class DescribedPhoto:
    """The faces of a photo. width, height: of the photo in pixels."""

    width: int
    height: int
    faces: Sequence[DescribedFace]


def size(view: View, photo: Photo) -> tuple[int, int]:
    """Return the width and height of a photo that was found to look like this."""
    rows, columns = view.pyramid.picture.shape[:2]
    is_wide = columns >= rows if view.quarters % 2 == 0 else rows >= columns
    sides = photo.longer_side, photo.shorter_side
    return sides if is_wide else sides[::-1]


def in_photo(view: View, face: DetectedFace) -> DetectedFace:
    """Return a face of the view in pixels of the photo. Its landmarks keep their order."""
    corners = face.box.reshape(2, 2)
    points = np.concatenate((corners, face.landmarks))
    rows, columns = view.pyramid.picture.shape[:2]
    for _ in range(view.quarters):  # turn back clockwise
        points = np.stack((rows - points[:, 1], points[:, 0]), axis=1)
        rows, columns = columns, rows
    points = points / view.detail
    box: NDArray[np.float64] = np.concatenate((points[:2].min(axis=0), points[:2].max(axis=0)))
    return DetectedFace(box, points[2:], face.score, face.side / view.detail)
