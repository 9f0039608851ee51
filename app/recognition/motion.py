"""Measure how much a living face moves its eyes and mouth in a sequence of frames.

A photo can be shifted, scaled, rotated, tilted, bent, blurred or lit differently from frame to
frame. A few numbers describe how this changes its eyes and mouth: where they are, how large, how
bright, how sharp. A blink or a word changes what is *in* them. So the frames are registered, the
best change of the first kind is removed from each eye and the mouth, and what remains is motion.
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
"""Eyes, nose and corners of the mouth in a face of SIDE × SIDE pixels."""

_BLUR = 1.5  # standard deviation in pixels; removes noise and compression artefacts
_ITERATIONS = {cv2.MOTION_AFFINE: 30, cv2.MOTION_HOMOGRAPHY: 15}
_IDENTITY = np.eye(3, dtype=np.float32)
_MIN_CONTRAST = 60.0  # grey levels squared; keeps noise in a flat region from counting as motion
_TOO_BRIGHT, _TOO_DARK = 245, 1  # grey levels beyond which a pixel shows nothing
_SPREAD = np.ones((9, 9), np.uint8)  # neighbours of a lost pixel that blur and registration affect
_MIN_VISIBLE = 0.5  # share of a region that must be visible
# A frame is misregistered if the noise in its rigid part is more than _MAX_NOISE times the median
# plus _MOUTH_NOISE. A mouth that opens wide adds that much, in grey levels squared.
_MAX_NOISE, _MOUTH_NOISE = 4.0, 2.0
_NOISE_FACTOR = 2.0  # how many times to subtract the noise: in one frame of 15 it is so large


def _box(x: int, y: int, half_width: int, half_height: int) -> NDArray[np.bool_]:
    region = np.zeros((SIDE, SIDE), bool)
    region[y - half_height : y + half_height, x - half_width : x + half_width] = True
    return region


_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
_OVAL = ((_X - 48) / 34) ** 2 + ((_Y - 52) / 42) ** 2 < 1
_MOVING = (_box(32, 34, 11, 10), _box(64, 34, 11, 10), _box(48, 72, 18, 13))  # eyes and mouth
_RIGID = _OVAL & (_Y < 60) & ~_box(32, 34, 13, 12) & ~_box(64, 34, 13, 12)


def motion(faces: NDArray[np.uint8]) -> float:
    """Return how much the eyes or the mouth change, as a share of their contrast; 0 for a still.

    faces: (n, SIDE, SIDE) uint8, one channel, n ≥ 1, of one person, with landmarks near POINTS. The
    frame that differs most counts. Noise is subtracted: that of forehead, nose and cheeks, or the
    median change of the region over all frames, whichever is larger.
    """
    pictures = faces.astype(np.float32)
    # Fit an affine transform first: if the chin is cut off, a perspective one fits anything unless
    # it starts close to the right one.
    views = [_IDENTITY] * len(pictures)
    views = _views(pictures, pictures[0], views, cv2.MOTION_AFFINE)
    reference = np.median(_registered(pictures, views), axis=0).astype(np.float32)
    views = _views(pictures, reference, views, cv2.MOTION_HOMOGRAPHY)
    pictures = _registered(pictures, views)
    visible = np.stack([_visible(picture) & _visible(reference) for picture in pictures])
    pictures = np.stack([_blurred(picture) for picture in pictures])
    reference = _blurred(reference)
    noise = _unexplained(pictures, visible, reference, _RIGID)
    changes = []
    for region in _MOVING:
        change = _unexplained(pictures, visible, reference, region)
        change -= _NOISE_FACTOR * np.maximum(noise, np.median(change))
        changes.append(change / (reference[region].var() + _MIN_CONTRAST))
    # If the rigid part is hidden or does not fit, the frame is misregistered and shows no motion.
    registered = (noise > 0) & (noise <= _MAX_NOISE * np.median(noise) + _MOUTH_NOISE)
    return float(np.max(np.where(registered, changes, 0)))


def _blurred(picture: _Grey) -> _Grey:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR), np.float32)


def _visible(picture: _Grey) -> NDArray[np.bool_]:
    """Return which pixels are neither too bright nor too dark to show anything."""
    lost = ((picture > _TOO_BRIGHT) | (picture < _TOO_DARK)).astype(np.uint8)
    return np.asarray(cv2.dilate(lost, _SPREAD) == 0)


def _views(pictures: _Grey, target: _Grey, starts: Sequence[_Grey], model: int) -> list[_Grey]:
    """Return the transforms (3, 3) with which each picture's face correlates best with `target`.

    model: OpenCV's kind of transform. Evangelidis & Psarakis 2008: enhanced correlation
    coefficient, which light does not change.
    """
    oval = _OVAL.astype(np.uint8) * 255
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS[model], 1e-4)
    rows = 2 if model == cv2.MOTION_AFFINE else 3
    views = []
    for picture, start in zip(pictures, starts, strict=True):
        view = start.copy()
        with suppress(cv2.error):  # it did not converge: keep the start
            _, view[:rows] = cv2.findTransformECC(
                target, picture, start[:rows].copy(), model, criteria, oval, gaussFiltSize=5
            )
        views.append(view)
    return views


def _registered(pictures: _Grey, views: Sequence[_Grey]) -> _Grey:
    """Return each picture in its view. Pixels from outside the picture are black, so invisible."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pairs = zip(pictures, views, strict=True)
    return np.stack(
        [cv2.warpPerspective(picture, view, (SIDE, SIDE), flags=flags) for picture, view in pairs]
    )


def _unexplained(
    pictures: _Grey, visible: NDArray[np.bool_], reference: _Grey, region: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (n,) the mean square that no affine change, light or focus explains in a region.

    The explanations, to first order: the gradients of `reference` times an affine displacement, a
    plane of light, the Laplacian for the focus, and a tone curve, as cameras and displays apply.
    The result is 0 if too little of the region is visible.
    """
    gradients = (
        cv2.Sobel(reference, cv2.CV_32F, *order, scale=1 / 8)[region] for order in ((1, 0), (0, 1))
    )
    x, y = _X[region] - _X[region].mean(), _Y[region] - _Y[region].mean()
    one, tone = np.ones_like(x), reference[region] / 255
    focus = cv2.Laplacian(reference, cv2.CV_32F)[region]
    explanations = [one, x, y, focus, tone, tone**2, tone**3]
    explanations += [gradient * factor for gradient in gradients for factor in (one, x, y)]
    columns = np.stack(explanations, axis=1).astype(np.float64)
    columns /= np.linalg.norm(columns, axis=0) + 1e-9
    residuals = np.zeros(len(pictures))
    for number, shown in enumerate(visible[:, region]):
        if shown.mean() > _MIN_VISIBLE:
            known, values = columns[shown], pictures[number, region][shown]
            # the normal equations: BLAS would spread a QR decomposition over threads that spin
            share = np.linalg.pinv(known.T @ known, hermitian=True) @ (known.T @ values)
            residuals[number] = np.square(values - known @ share).mean()
    return residuals
