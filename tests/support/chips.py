"""Face chips cut from real photos, as a face model takes them."""

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


def cut_closely(pixels: Picture, landmarks: NDArray[np.float64], margin: float) -> Picture:
    """The box of a face's landmarks; margin: on each side, as a share of the box's."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    more = margin * (high - low)
    x1, y1 = np.maximum(np.rint(low - more), 0).astype(int)
    x2, y2 = np.rint(high + more).astype(int)
    return np.ascontiguousarray(pixels[y1:y2, x1:x2])


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
