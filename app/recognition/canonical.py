"""Bring a face into one standard view, however its picture was stretched, sheared or rotated.

This works on edge directions, not on brightness, with the contrast equalised locally. So a curve of
tones changes little, even one that inverts a channel. The standard view is the affine one whose
edges fit those of an average face best. It depends on nothing but the picture, so a copy arrives at
the same view as its original.

Baker & Matthews 2004: Lucas-Kanade, with a prior; double angles as in Bigün & Granlund 1987.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

AlignedFace = NDArray[np.uint8]
"""(SIDE, SIDE, 3) RGB, cropped so that the landmarks lie near POINTS."""
_Field = NDArray[np.float32]
"""(…, 3): at each point, the edges' cos 2θ and sin 2θ times their strength, then the strength."""
_Floats = NDArray[np.float64]

SIDE = 96
POINTS = np.array([[32, 34], [64, 34], [48, 53.5], [35, 70], [61, 70]], np.float64)
"""Eyes, nose and corners of the mouth in an aligned face."""

VIEW_SIDE = 64
_CENTRE = np.array([31.5, 34.0])  # of the face, in the view
_RADIUS = 32.0  # pixels from _CENTRE at which `_affine` measures how far points move

_PICTURE_BLUR, _EDGE_BLUR = 1.0, 1.7  # standard deviations in pixels of the view
_NEIGHBOURHOOD = 19  # pixels of the view: side of the square in which contrast is equalised
_CONTRAST_FLOOR = 40.0  # squared gradient added to the local mean, so that noise is not an edge
_ALL_CHANNELS = np.ones((1, 3), np.float32)  # adds up the channels

_PRIOR_WEIGHT = 0.003  # how strongly the fit is pulled towards the landmarks
_ROUNDS, _STEPS = 2, 4  # a round warps the face and finds its edges anew; a step moves the view
_STARTS = np.zeros((5, 6))  # parameters of `_affine`: none, then stretched along x and y
_STARTS[1:, (1, 5)] = [[4, 0], [-4, 0], [0, 4], [0, -4]]

# The edges of an average face, as Gaussian blobs. Columns: offset from the middle, y, standard
# deviations along x and y; then how much cos 2θ, sin 2θ and strength the blob adds. A blob off
# the middle has a mirror image.
_BLOBS = (
    (20.5, 32, 3, 21, 2.5, 0.3, 0.9),  # side of the face
    (15.5, 55.5, 5, 10, 1.3, 1.7, 1.0),  # jaw
    (8, 16.5, 3.5, 2.5, -3.4, -0.4, 2.6),  # brow
    (5, 17, 2.5, 2.5, -0.2, 2.9, 0.1),  # brow, inner end
    (10, 24, 3.5, 2.5, -2.8, 0, 1.8),  # eye
    (2.5, 23.5, 3.5, 4, 1.4, -1.7, 0.3),  # bridge of the nose
    (0, 37, 4, 2, -1.0, 0, 1.7),  # tip of the nose
    (6.5, 34, 2, 2, 0.5, -0.7, 0),  # side of the nose
    (0, 46, 5.5, 3.5, -2.8, 0, 1.8),  # mouth
    (12, 41.5, 3, 9.5, -0.1, -0.5, -1.5),  # cheek
    (0, 10, 10.5, 4, 0, 0, -1.6),  # forehead
    (5, 55.5, 4.5, 3.5, -0.6, 0.5, -0.7),  # chin
)


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """A face in its standard view of VIEW_SIDE × VIEW_SIDE points."""

    view: _Floats  # (2, 3), from points of the standard view to pixels of the aligned face
    _field: _Field
    _to_field: _Floats

    def edges(self, points: _Floats) -> _Field:
        """Return the edge directions at points (n, 2), x and y: (n, 2) float32.

        They are the cosine and the sine of twice the angle, larger for stronger edges.
        """
        return _sampled(self._field, self._to_field, points)[:, :2]


def canonicals(face: AlignedFace) -> list[Canonical]:
    """Return the standard views that a fit finds from five starts, `canonical` first.

    The starts are the landmarks, and four stretched views. A face may fit two standard views; a
    copy of it then arrives at one or the other.
    """
    return [canonical(face, start) for start in _STARTS]


def canonical(face: AlignedFace, start: _Floats | None = None) -> Canonical:
    """Return the standard view of a face.

    start: parameters of `_affine`; by default, those of the landmarks' own view.
    """
    parameters = np.zeros(6) if start is None else start
    for _ in range(_ROUNDS):
        base = _affine(parameters)
        field = _edges(_warped(face, _to_face(base)))
        to_field = np.asarray(cv2.invertAffineTransform(base), np.float64)
        for _ in range(_STEPS):
            sampled = _sampled(field, _composed(to_field, _affine(parameters)), _GRID)
            residual = (_standardised(sampled) - _TEMPLATE).ravel()
            parameters = parameters - _FIT @ residual - _PULL @ parameters
    view = _affine(parameters)
    return Canonical(_to_face(view), field, _composed(to_field, view))


def stretch(one: _Floats, other: _Floats) -> float:
    """Return how far the proportions of two views differ, as a ratio of at least 1.

    one, other: (2, 3), affine views of the same thing in two pictures. The ratio is that of the
    singular values of the transform from one view to the other.
    """
    largest, smallest = np.linalg.svd(one[:, :2] @ np.linalg.pinv(other[:, :2]), compute_uv=False)
    return float(largest / max(smallest, 1e-9))


def _edges(picture: NDArray[np.uint8]) -> _Field:
    """Return the edges of a picture (rows, columns, 3), added up over its channels."""
    blurred = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _PICTURE_BLUR)
    x, y = cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)
    xx, yy = x * x, y * y
    strength = xx + yy
    gain = 1 / (cv2.blur(strength, (_NEIGHBOURHOOD, _NEIGHBOURHOOD)) + _CONTRAST_FLOOR)
    components = ((xx - yy) * gain, x * y * (2 * gain), strength * gain)
    field = cv2.merge([cv2.transform(each, _ALL_CHANNELS) for each in components])
    return np.asarray(cv2.GaussianBlur(field, (0, 0), _EDGE_BLUR))


def _standardised(field: _Field) -> _Floats:
    """Return (n, 3) values with mean strength 0 and mean square 1."""
    values = field.astype(np.float64)
    values[:, 2] -= values[:, 2].mean()
    flat = values.ravel()
    return np.asarray(values / (np.sqrt(flat @ flat / flat.size) + 1e-6))


def _affine(parameters: _Floats) -> _Floats:
    """Return the (2, 3) transform with six parameters, all in pixels, zero for the identity.

    Three for x, then three for y: the shift of the centre, then how much farther the points _RADIUS
    to its right and _RADIUS below it move.
    """
    shift_and_slopes = parameters.reshape(2, 3)
    slopes = shift_and_slopes[:, 1:] / _RADIUS
    shift = shift_and_slopes[:, 0] - slopes @ _CENTRE
    return np.hstack((np.eye(2) + slopes, shift[:, None]))


def _composed(second: _Floats, first: _Floats) -> _Floats:
    """Return the (2, 3) transform that applies `first`, then `second`."""
    return np.asarray(second @ np.vstack((first, (0, 0, 1))))


def _to_face(view: _Floats) -> _Floats:
    """Return a view that maps to the SIDE pixels of an aligned face, not to VIEW_SIDE points."""
    scale = SIDE / VIEW_SIDE
    return np.asarray(view * scale + np.array([0, 0, (scale - 1) / 2]))


def _warped(face: AlignedFace, to_face: _Floats) -> NDArray[np.uint8]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        face, to_face, (VIEW_SIDE, VIEW_SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _sampled(field: _Field, to_field: _Floats, points: _Floats) -> _Field:
    """Return the field (n, 3) at points (n, 2) of a view."""
    x, y = (to_field[:, :2] @ points.T + to_field[:, 2:]).astype(np.float32)[:, None]
    linear, edge = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(field, x, y, linear, borderMode=edge), np.float32).reshape(-1, 3)


def _average_face() -> _Field:
    """Return the edges of an average face, (VIEW_SIDE, VIEW_SIDE, 3)."""
    y, x = np.mgrid[0:VIEW_SIDE, 0:VIEW_SIDE]
    field = np.zeros((VIEW_SIDE, VIEW_SIDE, 3), np.float32)
    for offset, middle, width, height, cosine, sine, strength in _BLOBS:
        for side in (1, -1) if offset else (1,):
            blob = np.exp(-(((x - _CENTRE[0] - side * offset) / width) ** 2) / 2)
            blob *= np.exp(-(((y - middle) / height) ** 2) / 2)
            field += (blob[..., None] * (cosine, side * sine, strength)).astype(np.float32)
    return field


def _grid(step: int) -> _Floats:
    """Return the points (n, 2) of a grid that lie within the oval of the face."""
    y, x = np.mgrid[0:VIEW_SIDE:step, 0:VIEW_SIDE:step]
    points = np.stack((x.ravel(), y.ravel()), axis=1)
    inside = np.square((points - _CENTRE) / (25, 30)).sum(axis=1) < 1
    return np.asarray(points[inside], np.float64)


def _jacobian(average: _Field) -> _Floats:
    """Return (3 n, 6): how the average face changes at _GRID with each parameter of `_affine`."""
    samples = average[_ROWS, _COLUMNS]
    scale = np.sqrt(np.square(samples - (0, 0, samples[:, 2].mean())).mean())
    gradients = (
        cv2.Sobel(average, cv2.CV_32F, *order, scale=1 / 8)[_ROWS, _COLUMNS] / scale
        for order in ((1, 0), (0, 1))
    )
    factors = (np.ones(len(_GRID)), *((_GRID - _CENTRE) / _RADIUS).T)
    columns = [(slope * by[:, None]).ravel() for slope in gradients for by in factors]
    return np.stack(columns, axis=1)


_GRID = _grid(2)
_COLUMNS, _ROWS = _GRID.astype(int).T
_AVERAGE = _average_face()
_TEMPLATE = _standardised(_AVERAGE[_ROWS, _COLUMNS])
_JACOBIAN = _jacobian(_AVERAGE)
_PRIOR = _PRIOR_WEIGHT * len(_GRID) * np.eye(6)
_HESSIAN = _JACOBIAN.T @ _JACOBIAN + _PRIOR
_FIT = np.linalg.solve(_HESSIAN, _JACOBIAN.T)  # residual → Gauss-Newton step
_PULL = np.linalg.solve(_HESSIAN, _PRIOR)  # parameters → step back towards the landmarks
