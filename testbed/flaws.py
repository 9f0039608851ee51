"""Photos made poor on purpose: noise, blur, bad light, covered faces, few pixels.

A flaw takes a picture (rows, columns, 3) uint8 RGB, the face in it and a random generator, and
returns another picture. Lengths are in pixels of the picture, or shares of the face.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.recognition.detector import DetectedFace
from app.recognition.image import Picture

Random = np.random.Generator
Flaw = Callable[[Picture, DetectedFace, Random], Picture]
_Points = NDArray[np.float64]

_MASK_COLOURS = ((200, 220, 235), (90, 140, 190), (240, 240, 240), (30, 30, 35), (120, 180, 170))


def _pixels(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def grey(picture: Picture) -> Picture:
    """Return the picture without its colours."""
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def grey_noise(sigma: float) -> Flaw:
    return lambda picture, _, rng: _pixels(
        grey(picture) + rng.normal(0, sigma, (*picture.shape[:2], 1))
    )


def colour_noise(sigma: float) -> Flaw:
    return lambda picture, _, rng: _pixels(picture + rng.normal(0, sigma, picture.shape))


def coarse_noise(sigma: float) -> Flaw:
    """Noise whose grains are larger than a pixel, as after a camera's own processing."""

    def flaw(picture: Picture, _: DetectedFace, rng: Random) -> Picture:
        noise = cv2.GaussianBlur(rng.normal(0, 1, picture.shape), (0, 0), 1)
        return _pixels(picture + noise * (sigma / noise.std()))

    return flaw


def stretched(x: float, y: float) -> Flaw:
    """The picture, so many times as wide and as high."""
    return lambda picture, *_: np.asarray(cv2.resize(picture, None, fx=x, fy=y), np.uint8)


def speckle(share: float) -> Flaw:
    return lambda picture, _, rng: _pixels(picture * (1 + rng.normal(0, share, picture.shape)))


def few_photons(photons: float) -> Flaw:
    return lambda picture, _, rng: _pixels(rng.poisson(picture / 255 * photons) * (255 / photons))


def salt_and_pepper(share: float) -> Flaw:
    def flaw(picture: Picture, _: DetectedFace, rng: Random) -> Picture:
        poor, chance = picture.copy(), rng.random(picture.shape[:2])
        poor[chance < share / 2], poor[chance > 1 - share / 2] = 0, 255
        return poor

    return flaw


def night(picture: Picture, _: DetectedFace, rng: Random) -> Picture:
    """A dark picture that the camera made bright again."""
    light = rng.poisson(picture * (0.12 * 120 / 255)) * (255 / 120)
    return _pixels(light * 6 + rng.normal(0, 8, picture.shape))


def motion_blur(length: int) -> Flaw:
    """Blur along a line in a random direction."""

    def flaw(picture: Picture, _: DetectedFace, rng: Random) -> Picture:
        angle = rng.uniform(0, np.pi)
        steps = np.linspace(-0.5, 0.5, 8 * length) * (length - 1) + length / 2
        column = (steps - length / 2) * np.cos(angle) + length / 2
        row = (steps - length / 2) * np.sin(angle) + length / 2
        edges = np.arange(length + 1)
        kernel, *_ = np.histogram2d(row, column, bins=(edges, edges))
        return _filtered(picture, kernel)

    return flaw


def defocus(radius: float) -> Flaw:
    across = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    disc = np.hypot(*np.meshgrid(across, across)) <= radius
    return lambda picture, *_: _filtered(picture, disc.astype(float))


def _filtered(picture: Picture, kernel: NDArray[np.float64]) -> Picture:
    kernel = kernel / kernel.sum()
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)


def brightness(factor: float) -> Flaw:
    return lambda picture, *_: _pixels(picture * float(factor))


def contrast(factor: float) -> Flaw:
    return lambda picture, *_: _pixels(128 + (picture - 128.0) * factor)


def backlight(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """A dark person before a bright window."""
    away = (_face_points(picture, face) - (0, 0.3)) / (1.3, 2.0)
    window = np.clip((np.hypot(away[..., 0], away[..., 1]) - 1) * 4, 0, 1)[..., None]
    return _pixels(picture * 0.18 * (1 - window) + window * np.minimum(255, picture * 0.3 + 200))


def side_light(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """One half of the face is nearly black."""
    across = _face_points(picture, face)[..., :1]
    return _pixels(picture * (0.08 + 0.92 / (1 + np.exp(-across / 0.12))))


def top_light(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """All below the nose is nearly black."""
    down = _face_points(picture, face)[..., 1:]
    return _pixels(picture * (0.1 + 0.9 / (1 + np.exp((down - 0.25) / 0.12))))


def face_side(pixels: float) -> Flaw:
    """A picture with so few pixels that the face has this side."""

    def flaw(picture: Picture, face: DetectedFace, _: Random) -> Picture:
        share = pixels / face.side
        small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    return flaw


def enlarged(pixels: float) -> Flaw:
    """The same, enlarged to its old size."""

    def flaw(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
        small = face_side(pixels)(picture, face, rng)
        return np.asarray(cv2.resize(small, picture.shape[1::-1], None, 0, 0, cv2.INTER_CUBIC))

    return flaw


def jpeg(quality: int) -> Flaw:
    def flaw(picture: Picture, *_: object) -> Picture:
        file = BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return flaw


def mask(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
    """A mask of one colour over nose, mouth and chin."""
    half = np.array([(0.95, 0.45), (0.85, 1.1), (0.5, 1.5), (0.0, 1.75)])
    top = np.array([(-0.3, 0.42), (0, 0.35), (0.3, 0.42)])
    outline = np.vstack((top, half, half[-2::-1] * (-1, 1)))
    return _painted(picture, face, outline, rng.choice(_MASK_COLOURS))


def sunglasses(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
    angle = np.linspace(0, 2 * np.pi, 40)
    lens = np.stack((0.4 * np.cos(angle), 0.3 * np.sin(angle) + 0.05), axis=1)
    dark = rng.uniform(5, 35)
    aside = np.array([0.5, 0])
    for outline in (lens - aside, lens + aside, _box(-0.5, -0.04, 0.5, 0.04)):
        picture = _painted(picture, face, outline, dark)
    return picture


def cap(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """A cap down to the eyebrows."""
    return _painted(picture, face, _box(-1.2, -1.6, 1.2, -0.22), (60, 60, 90))


def scarf(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
    """A chequered scarf up to the nose."""
    points = _face_points(picture, face) * 8
    checks = (np.sin(points.sum(axis=2)) > 0) * 1.0 + (np.sin(points @ (1, -1)) > 0)
    one, other = rng.uniform(20, 230, (2, 3))
    cloth = one + (other - one) * checks[..., None] / 2 + rng.normal(0, 6, picture.shape)
    return _painted(picture, face, _box(-1.3, 0.55, 1.3, 2.6), cloth)


def striped_mask(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
    """A mask of two colours over nose, mouth and chin."""
    stripes = np.sin(_face_points(picture, face)[..., 1:] * 9 * np.pi) > 0
    one, other = rng.uniform(20, 230, (2, 3))
    return _painted(picture, face, _box(-1.2, 0.5, 1.2, 1.9), one + (other - one) * stripes)


def phone(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """A telephone held before one half of the face."""
    return _painted(picture, face, _box(0.1, -0.6, 1.5, 2.5), (25, 25, 30))


def fringe(picture: Picture, face: DetectedFace, rng: Random) -> Picture:
    """Hair down to the eyes."""
    hair = np.array([60, 45, 35]) + rng.normal(0, 25, (1, picture.shape[1], 1))
    return _painted(picture, face, _box(-1.0, -1.3, 1.0, 0.08), hair)


def hand(picture: Picture, face: DetectedFace, _: Random) -> Picture:
    """Four fingers, of the nose's colour, over the mouth."""
    column, row = np.int64(face.landmarks[2])
    skin = picture[row.clip(0, picture.shape[0] - 1), column.clip(0, picture.shape[1] - 1)]
    for finger in range(4):
        low = 0.65 + 0.24 * finger
        outline = np.array([(-0.9, low + 0.2), (0.6, low), (0.6, low + 0.22), (-0.9, low + 0.42)])
        picture = _painted(picture, face, outline, skin * (0.7 + 0.08 * finger))
    return picture


def _box(left: float, top: float, right: float, bottom: float) -> _Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


@dataclass(frozen=True, slots=True)
class _Axes:
    """A face's own axes: from the middle of the eyes, in eye distances and in heights to mouth."""

    origin: _Points
    matrix: _Points  # (2, 2), columns are the axes in pixels


def _axes(face: DetectedFace) -> _Axes:
    eye, other_eye, _, *mouth = face.landmarks
    origin = (eye + other_eye) / 2
    return _Axes(origin, np.stack((other_eye - eye, np.mean(mouth, axis=0) - origin), axis=1))


def _face_points(picture: Picture, face: DetectedFace) -> _Points:
    """Return where each pixel lies in the face, (rows, columns, 2)."""
    axes, (rows, columns) = _axes(face), picture.shape[:2]
    points = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2) + 0.5
    return np.asarray((points - axes.origin) @ np.linalg.inv(axes.matrix).T)


def _painted(picture: Picture, face: DetectedFace, outline: _Points, colour: object) -> Picture:
    """Paint a polygon whose corners are given in the face's own axes."""
    axes = _axes(face)
    corners = np.rint((axes.origin + outline @ axes.matrix.T) * 8).astype(np.int32)
    drawn = cv2.fillPoly(np.zeros(picture.shape[:2], np.uint8), [corners], 255, cv2.LINE_AA, 3)
    cover = drawn[..., None] / 255
    return _pixels(picture * (1 - cover) + cover * np.asarray(colour, float))
