"""Does a face move as a living one does? Measured on its eyes and mouth, over the frames of a film.

A photo that is shifted, scaled, turned, tilted, bent, blurred or lit differently from frame to
frame changes its eyes and its mouth in ways that a few numbers describe: where they are, how large,
how bright, how sharp.
An eyelid that falls and lips that part change what is *in* them. So the frames are registered, and
what remains of each of these regions when the best such change is taken away is the face's motion.
"""

from collections.abc import Sequence
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray

GreyFace = NDArray[np.uint8]
_Grey = NDArray[np.float32]

SIDE = 96
POINTS = np.array([[32, 34], [64, 34], [48, 53], [35, 70], [61, 70]], np.float64)
"""Where in a face of SIDE × SIDE pixels the eyes, the nose and the corners of the mouth lie."""

_SMOOTH = 1.5  # standard deviation in pixels, of what takes noise and compression away
_ITERATIONS = {cv2.MOTION_AFFINE: 30, cv2.MOTION_HOMOGRAPHY: 15}
_AS_IT_IS = np.eye(3, dtype=np.float32)
_FAINT = 60.0  # grey levels squared, so that noise in a region without contrast is no motion
_WHITE, _BLACK = 245, 1
_AROUND = np.ones((9, 9), np.uint8)  # what smoothing and registration spread
_ENOUGH = 0.5  # share of a region
_ASTRAY = 4.0  # times the usual noise
_STIRRED = 2.0  # grey levels squared that a mouth opening wide adds to it
_SURELY = 2.0  # times the noise elsewhere: as much is in some frame of 15 by chance


def _boxed(x: int, y: int, across: int, down: int) -> NDArray[np.bool_]:
    region = np.zeros((SIDE, SIDE), bool)
    region[y - down : y + down, x - across : x + across] = True
    return region


_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
_OVAL = ((_X - 48) / 34) ** 2 + ((_Y - 52) / 42) ** 2 < 1
_MOVING = (_boxed(32, 34, 11, 10), _boxed(64, 34, 11, 10), _boxed(48, 72, 18, 13))
_RIGID = _OVAL & (_Y < 60) & ~_boxed(32, 34, 13, 12) & ~_boxed(64, 34, 13, 12)


def motion(faces: NDArray[np.uint8]) -> float:
    """How much the eyes or the mouth change, as a share of their contrast; 0 is a still.

    faces: (n, SIDE, SIDE) uint8, one channel, n ≥ 1, of one person, their landmarks about at
    POINTS. The frame that differs most counts. Noise is judged by forehead, nose and cheeks, and by
    what most frames show in the same region, and the larger of the two is taken off.
    """
    pictures = faces.astype(np.float32)
    # a perspective fits anything where the chin is cut off, unless it begins near the right one
    views = [_AS_IT_IS] * len(pictures)
    views = _views(pictures, pictures[0], views, cv2.MOTION_AFFINE)
    usual = _median(_registered(pictures, views))
    views = _views(pictures, usual, views, cv2.MOTION_HOMOGRAPHY)
    pictures = _registered(pictures, views)
    seen = np.stack([_seen(picture) & _seen(usual) for picture in pictures])
    pictures = np.stack([_smooth(picture) for picture in pictures])
    usual = _smooth(usual)
    noise = _unexplained(pictures, seen, usual, _RIGID)
    changes = []
    for region in _MOVING:
        change = _unexplained(pictures, seen, usual, region)
        change -= _SURELY * np.maximum(noise, np.median(change))
        changes.append(change / (usual[region].var() + _FAINT))
    # where the rigid part is not seen or does not fit, the frame is not registered: it says nothing
    fits = (noise > 0) & (noise <= _ASTRAY * np.median(noise) + _STIRRED)
    return float(np.max(np.where(fits, changes, 0)))


def _median(pictures: _Grey) -> _Grey:
    return np.asarray(np.median(pictures, axis=0), np.float32)


def _smooth(picture: _Grey) -> _Grey:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _SMOOTH), np.float32)


def _seen(picture: _Grey) -> NDArray[np.bool_]:
    """Where a picture is neither too bright nor too dark to show anything."""
    lost = ((picture > _WHITE) | (picture < _BLACK)).astype(np.uint8)
    return np.asarray(cv2.dilate(lost, _AROUND) == 0)


def _views(pictures: _Grey, target: _Grey, views: Sequence[_Grey], model: int) -> list[_Grey]:
    """The transforms (3, 3) with which each picture's face correlates best with `target`.

    views: where to begin. model: of OpenCV, what the transforms may be. Evangelidis & Psarakis
    2008: enhanced correlation coefficient, which light does not change.
    """
    oval = _OVAL.astype(np.uint8) * 255
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS[model], 1e-4)
    rows = 2 if model == cv2.MOTION_AFFINE else 3
    found = []
    for picture, view in zip(pictures, views, strict=True):
        best = view.copy()
        with suppress(cv2.error):  # no convergence
            _, best[:rows] = cv2.findTransformECC(
                target, picture, view[:rows].copy(), model, criteria, oval, gaussFiltSize=5
            )
        found.append(best)
    return found


def _registered(pictures: _Grey, views: Sequence[_Grey]) -> _Grey:
    """The pictures, each in its view. What lies outside of one is black, so it is not seen."""
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    both = zip(pictures, views, strict=True)
    return np.stack(
        [cv2.warpPerspective(each, view, (SIDE, SIDE), flags=how) for each, view in both]
    )


def _unexplained(
    pictures: _Grey, seen: NDArray[np.bool_], usual: _Grey, region: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(n,) mean square of what no affine change of the region, its light and its focus explains.

    To first order: the picture's gradients times an affine displacement, plus a plane of light, its
    Laplacian for the focus, and a curve of tones, as cameras and displays bend them. Where too
    little is seen, it is 0.
    """
    slopes = (cv2.Sobel(usual, cv2.CV_32F, *order, scale=1 / 8)[region] for order in _BOTH)
    x, y = _X[region] - _X[region].mean(), _Y[region] - _Y[region].mean()
    one, tone = np.ones_like(x), usual[region] / 255
    focus = cv2.Laplacian(usual, cv2.CV_32F)[region]
    explanations = [one, x, y, focus, tone, tone**2, tone**3]
    explanations += [slope * place for slope in slopes for place in (one, x, y)]
    columns = np.stack(explanations, axis=1).astype(np.float64)
    left = np.zeros(len(pictures))
    for number, shown in enumerate(seen[:, region]):
        if shown.mean() > _ENOUGH:
            basis, _ = np.linalg.qr(columns[shown])
            values = pictures[number, region][shown]
            left[number] = np.square(values - basis @ (values @ basis)).mean()
    return left


_BOTH = ((1, 0), (0, 1))
