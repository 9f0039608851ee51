"""A face in one standard view, however its picture was stretched, sheared, turned or recoloured.

What is looked at is not brightness but which way the edges run, everywhere as strong as around: a
curve of tones changes neither, not even one that turns a channel over. The view is the affine one
in which these edges lie best where those of a face do. It follows from the picture alone, so that a
copy and its original come to the same view.

Baker & Matthews 2004: Lucas-Kanade, with a prior; double angles as in Bigün & Granlund 1987.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plain = NDArray[np.uint8]
_Field = NDArray[np.float32]
_Numbers = NDArray[np.float64]

SIDE = 96
POINTS = np.array([[32, 34], [64, 34], [48, 53.5], [35, 70], [61, 70]], np.float64)
"""Where in a plain face of SIDE × SIDE pixels eyes, nose and corners of the mouth lie."""

FIELD = 64
_FINE, _AROUND, _SMOOTH = 1.0, 19, 1.7  # pixels of it
_FAINT = 40.0  # of a squared gradient, so that noise is no edge
_CENTRE = np.array([31.5, 34.0])
_REACH = 32.0
_ALL_CHANNELS = np.ones((1, 3), np.float32)
_STIFF = 0.003  # how much the landmarks are believed
_ROUNDS, _STEPS = 2, 4
_STARTS = np.zeros((5, 6))  # as `_affine` takes them
_STARTS[1:, (1, 5)] = [[4, 0], [-4, 0], [0, 4], [0, -4]]

# Where an average face has edges: blobs (from the middle, down, half width, half height; how
# much across rather than along, how much slanting, how strong), each with its mirror image.
_EDGES = (
    (20.5, 32, 3, 21, 2.5, 0.3, 0.9),  # the side of the face
    (15.5, 55.5, 5, 10, 1.3, 1.7, 1.0),  # the jaw
    (8, 16.5, 3.5, 2.5, -3.4, -0.4, 2.6),  # the brow
    (5, 17, 2.5, 2.5, -0.2, 2.9, 0.1),
    (10, 24, 3.5, 2.5, -2.8, 0, 1.8),  # the eye
    (2.5, 23.5, 3.5, 4, 1.4, -1.7, 0.3),  # the bridge of the nose
    (0, 37, 4, 2, -1.0, 0, 1.7),  # its tip
    (6.5, 34, 2, 2, 0.5, -0.7, 0),
    (0, 46, 5.5, 3.5, -2.8, 0, 1.8),  # the mouth
    (12, 41.5, 3, 9.5, -0.1, -0.5, -1.5),  # the cheek
    (0, 10, 10.5, 4, 0, 0, -1.6),  # the forehead
    (5, 55.5, 4.5, 3.5, -0.6, 0.5, -0.7),  # the chin
)


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """A face in its standard view, of FIELD × FIELD points.

    view: (2, 3), from points of that view to pixels of the plain face.
    """

    view: _Numbers
    _field: _Field
    _within: _Numbers

    def edges(self, places: _Numbers) -> _Field:
        """Which way the edges run at places (n, 2), x and y: (n, 2) float32.

        They are the cosine and the sine of twice the angle, the larger the stronger the edge.
        """
        return _remapped(self._field, self._within, places)[:, :2]


def canonicals(plain: Plain) -> list[Canonical]:
    """All standard views that a face is found in: from the landmarks, or stretched beforehand.

    The first one is `canonical`. If there are two for one face, copies come to one or the other.
    """
    return [canonical(plain, start) for start in _STARTS]


def canonical(plain: Plain, start: _Numbers | None = None) -> Canonical:
    """The standard view of a (SIDE, SIDE, 3) uint8 face, whose landmarks lie about at POINTS."""
    moved = np.zeros(6) if start is None else start
    for _ in range(_ROUNDS):
        base = _affine(moved)
        field = _edges(_warped(plain, _to_plain(base)))
        back = np.asarray(cv2.invertAffineTransform(base), np.float64)
        for _ in range(_STEPS):
            found = _remapped(field, _after(back, _affine(moved)), _PLACES)
            off = (_levelled(found) - _TARGET).ravel()
            moved = moved - _SOLVE @ off - _PULL @ moved
    view = _affine(moved)
    return Canonical(_to_plain(view), field, _after(back, view))


def stretch(one: _Numbers, other: _Numbers) -> float:
    """How much longer one view is than the other in one direction than across it; at least 1.

    one, other: (2, 3), affine views of one thing in two pictures.
    """
    long, short = np.linalg.svd(one[:, :2] @ np.linalg.pinv(other[:, :2]), compute_uv=False)
    return float(long / max(short, 1e-9))


def _edges(picture: NDArray[np.uint8]) -> _Field:
    """(rows, columns, 3) the edges of all channels, each as strong as around."""
    fine = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _FINE)
    x, y = cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)
    across, along = x * x, y * y
    strength = across + along
    around = 1 / (cv2.blur(strength, (_AROUND, _AROUND)) + _FAINT)
    each = ((across - along) * around, x * y * (2 * around), strength * around)
    field = cv2.merge([cv2.transform(one, _ALL_CHANNELS) for one in each])
    return np.asarray(cv2.GaussianBlur(field, (0, 0), _SMOOTH))


def _levelled(field: _Field) -> _Numbers:
    """(n, 3) with no mean strength, and of mean square 1."""
    values = field.astype(np.float64)
    values[:, 2] -= values[:, 2].mean()
    flat = values.ravel()
    return np.asarray(values / (np.sqrt(flat @ flat / flat.size) + 1e-6))


def _affine(moved: _Numbers) -> _Numbers:
    """(2, 3) of six numbers: how many pixels points move that lie _REACH from the centre."""
    by = moved.reshape(2, 3)
    turn = by[:, 1:] / _REACH
    return np.hstack((np.eye(2) + turn, (by[:, 0] - turn @ _CENTRE)[:, None]))


def _after(first: _Numbers, then: _Numbers) -> _Numbers:
    return np.asarray(first @ np.vstack((then, (0, 0, 1))))


def _to_plain(view: _Numbers) -> _Numbers:
    scale = SIDE / FIELD
    return np.asarray(view * scale + np.array([0, 0, (scale - 1) / 2]))


def _warped(plain: Plain, to_plain: _Numbers) -> Plain:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(
        plain, to_plain, (FIELD, FIELD), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shown, np.uint8)


def _remapped(field: _Field, view: _Numbers, places: _Numbers) -> _Field:
    """(n, 3) what the field shows at places (n, 2)."""
    x, y = (view[:, :2] @ places.T + view[:, 2:]).astype(np.float32)[:, None]
    linear, edge = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(field, x, y, linear, borderMode=edge), np.float32).reshape(-1, 3)


def _average() -> _Field:
    """(64, 64, 3) the edges of an average face."""
    y, x = np.mgrid[0:FIELD, 0:FIELD]
    field = np.zeros((FIELD, FIELD, 3), np.float32)
    for beside, down, wide, high, across, slant, strong in _EDGES:
        for side in (1, -1) if beside else (1,):
            blob = np.exp(-(((x - _CENTRE[0] - side * beside) / wide) ** 2) / 2)
            blob *= np.exp(-(((y - down) / high) ** 2) / 2)
            field += (blob[..., None] * (across, side * slant, strong)).astype(np.float32)
    return field


def _places(step: int) -> _Numbers:
    y, x = np.mgrid[0:FIELD:step, 0:FIELD:step]
    places = np.stack((x.ravel(), y.ravel()), axis=1)
    inside = np.square((places - _CENTRE) / (25, 30)).sum(axis=1) < 1
    return np.asarray(places[inside], np.float64)


def _slopes(average: _Field) -> _Numbers:
    """(3 n, 6) how the average face changes at _PLACES as each of the six numbers grows."""
    spread = average[_ROWS, _COLUMNS]
    level = np.sqrt(np.square(spread - (0, 0, spread[:, 2].mean())).mean())
    slopes = (
        cv2.Sobel(average, cv2.CV_32F, *order, scale=1 / 8)[_ROWS, _COLUMNS] / level
        for order in ((1, 0), (0, 1))
    )
    far = (np.ones(len(_PLACES)), *((_PLACES - _CENTRE) / _REACH).T)
    return np.stack([(slope * by[:, None]).ravel() for slope in slopes for by in far], axis=1)


_PLACES = _places(2)
_COLUMNS, _ROWS = _PLACES.astype(int).T
_AVERAGE = _average()
_TARGET = _levelled(_AVERAGE[_ROWS, _COLUMNS])
_SLOPES = _slopes(_AVERAGE)
_PRIOR = _STIFF * len(_PLACES) * np.eye(6)
_SOLVE = np.linalg.solve(_SLOPES.T @ _SLOPES + _PRIOR, _SLOPES.T)
_PULL = np.linalg.solve(_SLOPES.T @ _SLOPES + _PRIOR, _PRIOR)
