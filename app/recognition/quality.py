"""Judge whether the photo of a face is good enough to be enrolled.

In a poor photo a network sees little but the flaw, so the poor photos of two people look alike to
it: whoever is enrolled with one is taken for everybody whose photos have the same flaw.

The measures and their limits are the same for every face model. They are taken from the picture and
from a standard view of the face, most of them as shares of its contrast, so that exposure does not
change them. The network adds a ratio of distances. docs/quality.md says how the limits were
chosen and what they refuse.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition import (
    FaceCovered,
    FaceTooBlurred,
    FaceTooNoisy,
    FaceTooSmall,
    FaceTurned,
    PictureStretched,
    PoorLight,
    UnusableImage,
)
from app.recognition.alignment import similarity
from app.recognition.image import Picture
from app.recognition.pyramid import Pyramid

_Grey = NDArray[np.float32]
_Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of a face, or the worst that are accepted."""

    side: float  # of the face in the photo, in pixels
    turn: float  # from the nose to the middle of eyes and mouth, in distances between the eyes
    width: float  # distance between the eyes, in distances from eyes to mouth
    stretch: float  # how many times wider or narrower the face is than usual; at least 1
    contrast: float  # standard deviation in grey levels
    glare: float  # share of the face that is too bright
    evenness: float  # brightness of the darker side, as a share of the brighter one
    noise: float  # standard deviation where there is no texture, in contrasts
    blocks: float  # step from one JPEG block to the next, in contrasts
    frequency: float  # mean square in the most blurred direction, radians² per pixel²
    # What a part shows: the root of its gradient in contrasts per pixel, times how far the vector
    # moves if it is covered, as a ratio to the mean of all parts. Covering what is covered changes
    # little.
    eyes: float
    mouth: float
    forehead: float
    brightness: float = 0  # median grey level in [0, 255]; it has no limit


LIMITS = {
    "off": None,
    "standard": Quality(
        side=50,
        turn=0.58,
        width=0.62,
        stretch=1.24,
        contrast=10,
        glare=0.25,
        evenness=0.27,
        noise=0.085,
        blocks=0.25,
        frequency=0.073,
        eyes=0.27,
        mouth=0.215,
        forehead=0.11,
    ),
    "strict": Quality(
        side=60,
        turn=0.45,
        width=0.68,
        stretch=1.18,
        contrast=13,
        glare=0.1,
        evenness=0.36,
        noise=0.08,
        blocks=0.2,
        frequency=0.077,
        eyes=0.29,
        mouth=0.235,
        forehead=0.135,
    ),
}
"""The values of QUALITY, and the worst measures that each accepts."""


class Grade(StrEnum):
    """How good an enrolled face is: which value of QUALITY accepts it."""

    GOOD = "good"  # strict
    FAIR = "fair"  # standard, but not strict


_AT_LEAST, _AT_MOST = 1, -1
_FLAWS: tuple[tuple[str, int, type[UnusableImage], str], ...] = (
    ("side", _AT_LEAST, FaceTooSmall, "the face is too small, move closer"),
    # Noise and blur are shares of the contrast, so look at the light first.
    ("contrast", _AT_LEAST, PoorLight, "the face can hardly be seen, put more light on it"),
    ("glare", _AT_MOST, PoorLight, "the face is too bright, put less light on it"),
    ("evenness", _AT_LEAST, PoorLight, "half of the face is dark, turn towards the light"),
    ("noise", _AT_MOST, FaceTooNoisy, "the picture is too noisy, put more light on the face"),
    ("blocks", _AT_MOST, FaceTooNoisy, "the picture is compressed too much, send a better one"),
    (
        "stretch",
        _AT_MOST,
        PictureStretched,
        "the face is stretched, send the picture as it was taken",
    ),
    ("turn", _AT_MOST, FaceTurned, "the face is turned away, face the camera"),
    ("width", _AT_LEAST, FaceTurned, "the face is turned away, face the camera"),
    ("frequency", _AT_LEAST, FaceTooBlurred, "the face is too blurred, hold the camera still"),
    ("eyes", _AT_LEAST, FaceCovered, "the eyes are covered, take off the sunglasses"),
    ("mouth", _AT_LEAST, FaceCovered, "the lower face is covered, take off the mask"),
    ("forehead", _AT_LEAST, FaceCovered, "the forehead is covered, take off the cap"),
)

_USUAL = 0.734
"""Width over height of a face's box, times the fourth root of `width`: the median of LFW."""
_SIDE = 150  # pixels of the standard view
_POINTS = np.array([[47.7, 47.1], [100.3, 47.1], [74.6, 78], [51.5, 106.5], [98.5, 106.5]])
"""Eyes, nose and corners of the mouth in it."""
_EYE_DISTANCE = 52.6  # in it, in pixels
_Y, _X = np.mgrid[0:_SIDE, 0:_SIDE]
_OVAL = ((_X - 75) / 48) ** 2 + ((_Y - 75) / 62) ** 2 < 1  # no hair, no background
_SIDES = _OVAL & (_X < 60), _OVAL & (_X >= 90)
_PARTS = np.s_[38:58, 30:120], np.s_[88:125, 45:105], np.s_[8:34, 30:120]
"""Eyes, mouth and forehead in it."""
_COVERS = (
    np.array([[25, 34], [125, 34], [125, 62], [25, 62]], np.float64),  # sunglasses
    np.array([[-150, 84], [300, 84], [300, 300], [-150, 300]], np.float64),  # a mask
    np.array([[-150, -150], [300, -150], [300, 34], [-150, 34]], np.float64),  # a cap
)
_SUNGLASSES = (30, 30, 30)

_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Leaves white noise as it is, and nothing of a slope: Immerkær 1996."""
_REACH = np.array([1, 1.25])  # from a face's middle to its box's sides, in distances between eyes
_MIN_BOX = 16  # pixels
_PATCH = 0.3  # side of the patches whose noise is compared, in distances between the eyes
_UNTEXTURED = 0.1  # share of the patches that show nothing but noise
_JPEG_BLOCK = 8  # pixels
_MIN_BLOCKS = 8  # across a face
_TOO_BRIGHT = 250  # grey level
_ANGLES = np.arange(12) * np.pi / 12
_TINY = 1e-9


def flaw(face: Quality, worst: Quality) -> UnusableImage | None:
    """Return the error that says what to do about a flaw of the face; None if it has none."""
    for name, sign, error, sentence in _FLAWS:
        if sign * getattr(face, name) < sign * getattr(worst, name):
            return error(sentence)
    return None


def grade(face: Quality) -> Grade:
    """Return how good a face is that `standard` accepts."""
    strict = LIMITS["strict"]
    return Grade.FAIR if strict and flaw(face, strict) else Grade.GOOD


def measured(
    picture: Picture,
    points: _Points,
    box: NDArray[np.float64],
    side: float,
    chip: Picture,
    landmarks: _Points,
    vector: NDArray[np.float32],
    covered_vectors: NDArray[np.float32],
) -> Quality:
    """Return the measures of a face.

    picture: the photo, shrunk at most as much as the chip is. points: (5, 2), the landmarks in it.
    box: (4,) x1, y1, x2, y2 of the face. side: of the face in pixels of the photo.
    chip: the face as the model takes it. landmarks: (5, 2), in its pixels.
    vector: (dimension,), of the chip. covered_vectors: (3, dimension), of what `covered` returns.
    """
    eye, other_eye, nose, *mouth = points
    between, middle = max(float(np.linalg.norm(other_eye - eye)), _TINY), (eye + other_eye) / 2
    (x, y), (u, v) = np.mean(mouth, axis=0) - middle, nose - middle
    height = max(float(np.hypot(x, y)), _TINY)
    columns, rows = np.maximum(box[2:] - box[:2], _TINY)
    proportion = columns / rows * (between / height) ** 0.25 / _USUAL
    grey = _grey(Pyramid(chip).warped(similarity(_POINTS, landmarks), _SIDE))
    smooth = _blurred(grey, 2)
    contrast = max(float(smooth[_OVAL].std()), 1.0)
    gradient = np.hypot(_derivative(smooth, 1, 0), _derivative(smooth, 0, 1)) / contrast
    texture = np.array([gradient[part].mean() for part in _PARTS])
    moved = np.linalg.norm(covered_vectors - vector, axis=1)
    shown = np.sqrt(texture) * moved / max(float(moved.mean()), _TINY)
    halves = [float(np.median(smooth[part])) for part in _SIDES]
    near = _box(picture, points, between)
    # Where the network sees a smaller face than the picture shows, noise is averaged.
    shrinkage = min(1.0, _EYE_DISTANCE / between)
    return Quality(
        side=side,
        turn=float(abs(u * y - v * x)) / (height * between),
        width=between / height,
        stretch=float(max(proportion, 1 / proportion)),
        contrast=contrast,
        glare=float((grey[_OVAL] >= _TOO_BRIGHT).mean()),
        brightness=float(np.median(smooth[_OVAL])),
        evenness=min(halves) / max(*halves, _TINY),
        noise=_noise(near, _PATCH * between) * shrinkage / contrast,
        blocks=_blocks(near) / contrast,
        frequency=_frequency(grey),
        **dict(zip(("eyes", "mouth", "forehead"), shown.tolist(), strict=True)),
    )


def covered(chip: Picture, landmarks: _Points) -> list[Picture]:
    """Return the chip with the eyes, all below the nose, and all above the eyebrows covered.

    landmarks: (5, 2), in pixels of the chip.
    """
    to_chip = similarity(_POINTS, landmarks)
    pictures: list[Picture] = []
    for corners in _COVERS:
        outline = np.rint(corners @ to_chip[:, :2].T + to_chip[:, 2]).astype(np.int32)
        part = cv2.fillConvexPoly(np.zeros(chip.shape[:2], np.uint8), outline, 1)
        colour = cv2.mean(chip, part) if pictures else _SUNGLASSES
        picture = cv2.fillConvexPoly(chip.copy(), outline, colour)
        pictures.append(np.asarray(picture, np.uint8))
    return pictures


def _grey(picture: Picture) -> _Grey:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _box(picture: Picture, landmarks: _Points, between: float) -> _Grey:
    """Return the face's part of the picture, in grey: _MIN_BOX pixels or more wide and high."""
    size = np.array(picture.shape[1::-1])
    middle = landmarks[[0, 1, 3, 4]].mean(axis=0)
    low = np.clip(middle - _REACH * between, 0, size - _MIN_BOX).astype(int)
    high = np.maximum(middle + _REACH * between, low + _MIN_BOX).astype(int)
    return _grey(np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]))


def _noise(box: _Grey, patch: float) -> float:
    """Return the standard deviation of the noise, of the finest grain or of twice its size.

    patch: side of the patches, in pixels. Patches with texture do not count.
    """
    found = []
    for scale in (1, 2):
        grain = cv2.resize(box, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
        energy = np.square(cv2.filter2D(grain, cv2.CV_32F, _NOISE))
        side = max(3, int(patch / scale) // 2 * 2 + 1)
        found.append(np.quantile(cv2.blur(energy, (side, side)), _UNTEXTURED))
    return float(np.sqrt(max(0, *found)))


def _blocks(box: _Grey) -> float:
    """Return how much larger steps between pixels are at the edges of JPEG blocks.

    It is 0 if the box holds too few of them to tell.
    """
    if min(box.shape) < _MIN_BLOCKS * _JPEG_BLOCK:
        return 0.0
    total = 0.0
    for rows in (box, box.T):
        step = np.abs(np.diff(rows, axis=1))
        excess = (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(axis=0)
        by_phase = [excess[phase::_JPEG_BLOCK].mean() for phase in range(_JPEG_BLOCK)]
        total += float(max(by_phase) - np.median(by_phase))
    return total


def _frequency(grey: _Grey) -> float:
    """Return the mean squared frequency of the face in the direction in which it is least.

    It is the energy of the second derivative over that of the first.
    """
    smooth = _blurred(grey, 1)
    first, second = (
        np.stack([_derivative(smooth, *order)[_OVAL] for order in orders])
        for orders in (((1, 0), (0, 1)), ((2, 0), (1, 1), (0, 2)))
    )
    c, s = np.cos(_ANGLES), np.sin(_ANGLES)
    along = _energy(np.stack((c * c, 2 * c * s, s * s)), second @ second.T)
    return float((along / np.maximum(_energy(np.stack((c, s)), first @ first.T), _TINY)).min())


def _energy(directions: _Points, products: _Grey) -> NDArray[np.float64]:
    """Return the energy of derivatives in n directions, (k, n), from their products, (k, k)."""
    return np.asarray(np.einsum("in,ij,jn->n", directions, products, directions))


def _blurred(grey: _Grey, sigma: float) -> _Grey:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.float32)


def _derivative(grey: _Grey, x: int, y: int) -> _Grey:
    """Return the derivative of that order along x and y, per pixel."""
    weights = 8 if x + y == 1 else 4  # sum of those of Sobel's kernel, times its reach
    return np.asarray(cv2.Sobel(grey, cv2.CV_32F, x, y) / weights, np.float32)
