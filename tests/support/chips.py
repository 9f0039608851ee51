"""DetectedFace chips of real photos, as a face model takes them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.recognition.alignment import chip_to_picture
from app.recognition.detector import DetectedFace, FaceDetector
from app.recognition.image import Picture
from app.recognition.pyramid import Pyramid
from models.catalogue import FaceModel
from testbed.photos import picture


def largest_face(detector: FaceDetector, pixels: Picture) -> DetectedFace:
    return detector.detect(Pyramid(pixels))[0]


def aligned(pixels: Picture, face: DetectedFace, model: FaceModel) -> Picture:
    """The face as the (side, side, 3) uint8 chip of that model."""
    return Pyramid(pixels).warped(chip_to_picture(face, model), model.side)


def chips(detector: FaceDetector, model: FaceModel, photos: Iterable[Path]) -> NDArray[np.uint8]:
    """(n, side, side, 3) uint8: of each photo the largest face, upside down and negated, too."""
    made = []
    for photo in photos:
        pixels = picture(photo)
        chip = aligned(pixels, largest_face(detector, pixels), model)
        made += [chip, np.ascontiguousarray(chip[::-1]), 255 - chip]
    return np.stack(made)
