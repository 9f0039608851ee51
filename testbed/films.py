"""Films of 15 frames made from photos: of a face that lives, and of presentation attacks.

A film is one photo, warped anew for each frame: eyelids fall and rise, lips part, and the nose
moves against the cheeks as the head turns a little; the hand that holds the camera shakes, the
exposure drifts, the sensor adds its noise, and each frame is a JPEG of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition.detector import FaceDetector
from app.recognition.image import Picture
from app.recognition.pyramid import Pyramid
from testbed import heads

FRAMES = 15

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photo and the landmarks (5, 2) of the face in it, in pixels."""

    picture: Picture
    landmarks: Points


@dataclass(frozen=True, slots=True)
class Moment:
    """What the face does in one frame.

    lids: how far the eyes are closed, in [0, 1]. lips: how far the mouth is open, in distances
    between the eyes. turn: how far the nose has moved against the face, in the same unit.
    yaw, pitch: how far the whole head is turned to the picture's right, and up, in radians.
    """

    lids: float = 0.0
    lips: float = 0.0
    turn: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


@dataclass(frozen=True, slots=True)
class Camera:
    """How much each frame differs by the camera alone.

    shake: standard deviation of the shift in distances between the eyes; rotation and scale follow.
    exposure: standard deviation of the brightness. noise: the same in grey levels.
    quality: of the JPEG.
    """

    shake: float = 0.03
    exposure: float = 0.02
    noise: float = 2.0
    quality: int = 88


def portrait(picture: Picture, detector: FaceDetector, longest: int = 640) -> Portrait:
    """The picture at a webcam's size, and where its largest face is."""
    shrink = min(1.0, longest / max(picture.shape[:2]))
    if shrink < 1:
        picture = np.asarray(
            cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        )
    return Portrait(picture, detector.detect(Pyramid(picture), rivals=0.6)[0].landmarks)


def alive(rng: np.random.Generator) -> list[Moment]:
    """A face that blinks, or says a word, or both, while the head turns a little."""
    what = rng.choice(("blink", "word", "both"))
    time = np.arange(FRAMES)
    lids, lips = np.zeros(FRAMES), np.zeros(FRAMES)
    if what != "word":
        middle, width = rng.uniform(3, 11), rng.uniform(0.9, 1.8)
        lids = rng.uniform(0.85, 1.0) * np.exp(-(((np.round(middle) - time) / width) ** 2))
    if what != "blink":
        middle, width = rng.uniform(4, 10), rng.uniform(2, 4)
        beat = 0.6 + 0.4 * np.cos(time * rng.uniform(1.2, 2.2))
        lips = rng.uniform(0.08, 0.25) * beat * np.exp(-(((middle - time) / width) ** 2))
    turn = rng.uniform(-0.04, 0.04) * np.sin(time / rng.uniform(3, 8) + rng.uniform(0, 6))
    return [Moment(*moment) for moment in zip(lids, lips, turn, strict=True)]


def bona_fide(
    source: Portrait, rng: np.random.Generator, camera: Camera | None = None
) -> list[bytes]:
    """A film of a living face, JPEGs."""
    return filmed(source, alive(rng), rng, camera or Camera())


def filmed(
    source: Portrait, moments: Sequence[Moment], rng: np.random.Generator, camera: Camera
) -> list[bytes]:
    """The frames that the camera takes of these moments."""
    apart = float(np.linalg.norm(source.landmarks[1] - source.landmarks[0]))
    paths = np.cumsum(rng.normal(size=(len(moments), 4)), axis=0)
    paths = (paths - paths.mean(axis=0)) / max(1.0, float(paths.std()))
    frames = []
    for moment, (x, y, angle, scale) in zip(moments, paths, strict=True):
        shake = _similarity(
            source.landmarks.mean(axis=0),
            0.6 * camera.shake * angle,
            1 + 0.6 * camera.shake * scale,
            np.array([x, y]) * camera.shake * apart,
        )
        picture = warped(source, moment, shake)
        gain = 1 + rng.normal() * camera.exposure
        frames.append(jpeg(noised(picture * gain, camera.noise, rng), camera.quality))
    return frames


def warped(source: Portrait, moment: Moment, shake: NDArray[np.float64]) -> NDArray[np.float32]:
    """The photo as the face does `moment` and the camera moves by `shake` (2, 3)."""
    rows, columns = source.picture.shape[:2]
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    back = cv2.invertAffineTransform(shake)
    x, y = (
        back[0, 0] * x + back[0, 1] * y + back[0, 2],
        back[1, 0] * x + back[1, 1] * y + back[1, 2],
    )
    left, right, nose, mouth_left, mouth_right = source.landmarks
    across = right - left
    apart = float(np.hypot(*across))
    u, v = across / apart, np.array([-across[1], across[0]]) / apart
    if moment.yaw or moment.pitch:
        x, y = heads.origin(x, y, source.landmarks, moment.yaw, moment.pitch)

    def own(centre: Points) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates along and across the line of the eyes, in distances between the eyes."""
        dx, dy = x - centre[0], y - centre[1]
        return (dx * u[0] + dy * u[1]) / apart, (dx * v[0] + dy * v[1]) / apart

    along, down = np.zeros_like(x), np.zeros_like(x)  # where the pixel comes from, relative
    if moment.lids:
        for eye in (left, right):
            p, q = own(eye)
            down += _lid(p, q, moment.lids)
    if moment.lips:
        p, q = own((mouth_left + mouth_right) / 2)
        beside = np.clip(1 - (p / 0.62) ** 2, 0, 1)
        drop = moment.lips * beside
        # the lower lip and the chin go down, less the further from the mouth; the gap is dark
        lower = np.where(q > 0, np.exp(-(np.maximum(q - drop, 0) ** 2) / 0.25), 0)
        down -= np.minimum(drop * lower, np.maximum(q, 0) * 0.96)
    if moment.turn:
        p, q = own(nose)
        along -= moment.turn * np.exp(-(p**2 + q**2) / (2 * 0.35**2))
    sx = x + (along * u[0] + down * v[0]) * apart
    sy = y + (along * u[1] + down * v[1]) * apart
    picture = cv2.remap(
        source.picture,
        sx.astype(np.float32),
        sy.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float32)
    if moment.lips:
        p, q = own((mouth_left + mouth_right) / 2)
        gap = moment.lips * np.clip(1 - (p / 0.4) ** 2, 0, 1)
        inside = np.clip((gap - np.abs(q - gap / 2) * 2) / 0.05, 0, 1)
        picture *= (1 - 0.65 * inside)[..., None]
    return picture


def _lid(p: NDArray[np.float32], q: NDArray[np.float32], closed: float) -> NDArray[np.float32]:
    """Where the pixels at (p, q) of an eye come from, vertically: the upper lid falls."""
    opening, brow = 0.085, 0.26
    beside = np.clip(1 - (p / 0.3) ** 2, 0, 1)
    edge = -opening + 2 * opening * 0.92 * closed * beside  # of the lid
    above = (q - edge) / (edge + brow) * (brow - opening) - opening
    inside = opening - (opening - q) / (opening - edge) * 2 * opening
    source = np.where(q < edge, above, inside)
    moves = (q > -brow) & (q < opening) & (beside > 0)
    return np.where(moves, source - q, 0).astype(np.float32)


def _similarity(centre: Points, angle: float, scale: float, shift: Points) -> NDArray[np.float64]:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.hstack((turn, (centre + shift - turn @ centre)[:, None]))


def noised(
    picture: NDArray[np.float32] | Picture, deviation: float, rng: np.random.Generator
) -> Picture:
    """The picture with a sensor's noise."""
    noise = rng.standard_normal(picture.shape, np.float32) * deviation
    return np.clip(picture + noise + 0.5, 0, 255).astype(np.uint8)


def jpeg(picture: Picture, quality: int = 90) -> bytes:
    """The picture as a JPEG."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


# Attacks with one still: each makes 15 frames of a photo.

Attack = Callable[[Picture, np.random.Generator], list[bytes]]


def still(picture: Picture, rng: np.random.Generator) -> list[bytes]:
    """The same picture 15 times."""
    return [jpeg(picture)] * FRAMES


def _each(change: Callable[[Picture, np.random.Generator, float], Picture]) -> Attack:
    def attack(picture: Picture, rng: np.random.Generator) -> list[bytes]:
        return [jpeg(change(picture, rng, t / (FRAMES - 1))) for t in range(FRAMES)]

    return attack


def _moved(picture: Picture, angle: float, scale: float, x: float, y: float) -> Picture:
    rows, columns = picture.shape[:2]
    move = _similarity(
        np.array([columns / 2, rows / 2]), angle, scale, np.array([x * columns, y * rows])
    )
    return np.asarray(
        cv2.warpAffine(picture, move, (columns, rows), borderMode=cv2.BORDER_REFLECT_101)
    )


def _tilted(picture: Picture, rng: np.random.Generator, most: float = 0.08) -> Picture:
    rows, columns = picture.shape[:2]
    size = np.array([columns, rows], np.float32)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * size
    moved = corners + rng.uniform(-most, most, (4, 2)).astype(np.float32) * size
    tilt = cv2.getPerspectiveTransform(corners, moved)
    return np.asarray(
        cv2.warpPerspective(picture, tilt, (columns, rows), borderMode=cv2.BORDER_REFLECT_101)
    )


def _bent(picture: Picture, rng: np.random.Generator, t: float) -> Picture:
    """A print bent in the hand, about a vertical axis."""
    rows, columns = picture.shape[:2]
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    bend = 0.03 * np.sin(2 * np.pi * t)
    source = x + np.float32(bend * columns) * np.sin(np.pi * x / columns)
    return np.asarray(cv2.remap(picture, source, y, cv2.INTER_LINEAR))


def _bright(picture: Picture, gain: float, bias: float = 0) -> Picture:
    return np.clip(picture * np.float32(gain) + bias + 0.5, 0, 255).astype(np.uint8)


def _recompressed(picture: Picture, rng: np.random.Generator) -> list[bytes]:
    return [jpeg(picture, int(quality)) for quality in rng.integers(35, 96, FRAMES)]


def _resized(picture: Picture, rng: np.random.Generator, t: float) -> Picture:
    side = float(rng.uniform(0.6, 1.3))
    return np.asarray(cv2.resize(picture, None, fx=side, fy=side, interpolation=cv2.INTER_AREA))


def _together(picture: Picture, rng: np.random.Generator, t: float) -> Picture:
    moved = _moved(
        picture,
        rng.normal() * 0.05,
        1 + rng.normal() * 0.04,
        rng.normal() * 0.02,
        rng.normal() * 0.02,
    )
    return noised(_bright(moved, rng.uniform(0.8, 1.2)), 6, rng)


STILLS: dict[str, Attack] = {
    "the same picture 15 times": still,
    "shifted": _each(lambda p, rng, t: _moved(p, 0, 1, rng.normal() * 0.03, rng.normal() * 0.03)),
    "scaled": _each(lambda p, rng, t: _moved(p, 0, 0.85 + 0.3 * t, 0, 0)),
    "rotated": _each(lambda p, rng, t: _moved(p, 0.3 * (t - 0.5), 1, 0, 0)),
    "resized": _each(_resized),
    "brightened": _each(lambda p, rng, t: _bright(p, 0.7 + 0.6 * t, 20 * (t - 0.5))),
    "re-compressed": _recompressed,
    "noised": _each(lambda p, rng, t: noised(p, 10, rng)),
    "noised much": _each(lambda p, rng, t: noised(p, 20, rng)),
    "blurred": _each(
        lambda p, rng, t: np.asarray(cv2.GaussianBlur(p, (0, 0), 0.3 + 0.012 * len(p) * t**2 / 3))
    ),
    "tilted": _each(lambda p, rng, t: _tilted(p, rng)),
    "bent": _each(_bent),
    "moved, brightened and noised": _each(_together),
    "held in a shaking hand": lambda p, rng: filmed(
        Portrait(p, _anywhere(p)), [Moment()] * FRAMES, rng, Camera(shake=0.1, noise=4)
    ),
}
"""One photo, changed from frame to frame as no face changes."""


def _anywhere(picture: Picture) -> Points:
    """Landmarks as if a face filled a third of the picture; they only set the scale of shaking."""
    rows, columns = picture.shape[:2]
    middle = np.array([columns / 2, rows / 2])
    return middle + min(rows, columns) * np.array(
        [[-0.1, -0.05], [0.1, -0.05], [0, 0.05], [-0.08, 0.12], [0.08, 0.12]]
    )


def beside(still: Portrait, living: Portrait, rng: np.random.Generator) -> list[bytes]:
    """Return frames of a living face next to a photo of somebody else, both equally large."""
    photo = _close(still.picture, still.landmarks)
    frames = []
    for moment in alive(rng):
        now = np.clip(warped(living, moment, np.eye(2, 3)), 0, 255).astype(np.uint8)
        frames.append(jpeg(np.hstack((photo, _close(now, living.landmarks)))))
    return frames


def _close(picture: Picture, landmarks: Points) -> Picture:
    """(300, 240, 3) what is around a face."""
    apart = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    scale, (x, y) = 70 / apart, landmarks.mean(axis=0)
    move = np.array([[scale, 0, 120 - scale * x], [0, scale, 150 - scale * y]])
    return np.asarray(cv2.warpAffine(picture, move, (240, 300), borderMode=cv2.BORDER_REPLICATE))
