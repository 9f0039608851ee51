"""Faces are found where they are, and the geometry around them is exact to the half pixel."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.recognition.detector import FaceDetector
from app.recognition.image import Picture
from app.recognition.mosaic import mosaic
from app.recognition.pyramid import Pyramid
from testbed.photos import FACES, GRACE_HOPPER, PORTRAITS, WITHOUT_FACE, picture
from tests.support.chips import cut_closely, largest_face


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_finds_the_face_with_its_landmarks(photo: Path, detector: FaceDetector) -> None:
    (face,) = detector.detect(Pyramid(picture(photo)))
    x1, y1, x2, y2 = face.box
    assert face.score > 0.99
    assert face.box.shape == (4,)
    assert face.landmarks.shape == (5, 2)
    assert ((face.landmarks > (x1, y1)) & (face.landmarks < (x2, y2))).all()
    (left_eye, right_eye, nose, left_mouth, right_mouth) = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_the_largest_face_comes_first(detector: FaceDetector) -> None:
    pixels = picture(GRACE_HOPPER)
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    beside = np.zeros((len(pixels), half.shape[1], 3), np.uint8)
    beside[: len(half)] = half
    large, small = detector.detect(Pyramid(np.hstack((beside, pixels))))
    assert large.box[0] > half.shape[1]
    assert small.side == pytest.approx(large.side / 2, rel=0.1)
    assert [face.side for face in detector.detect(Pyramid(pixels))] == pytest.approx(
        [large.side], rel=0.05
    )


@pytest.mark.parametrize("photo", WITHOUT_FACE, ids=lambda photo: photo.stem)
def test_finds_none_where_there_is_none(photo: Path, detector: FaceDetector) -> None:
    assert detector.detect(Pyramid(picture(photo))) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (24, 24), (400, 400)])
def test_a_plain_picture_of_any_size_holds_none(
    shape: tuple[int, int], detector: FaceDetector
) -> None:
    assert detector.detect(Pyramid(np.full((*shape, 3), 128, np.uint8))) == []


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_close_up_is_found_with_its_landmarks_inside(photo: Path, detector: FaceDetector) -> None:
    pixels = picture(photo)
    (x1, y1), (x2, y2) = (
        getattr(largest_face(detector, pixels).landmarks, end)(axis=0) for end in ("min", "max")
    )
    left, top = int(x1 - 0.4 * (x2 - x1)), int(y1 - 0.4 * (y2 - y1))
    right, bottom = int(x2 + 0.4 * (x2 - x1)), int(y2 + 0.4 * (y2 - y1))
    landmarks = largest_face(detector, pixels[top:bottom, left:right].copy()).landmarks
    expected = largest_face(detector, pixels).landmarks - (left, top)
    assert np.abs(landmarks - expected).max() < 0.1 * (x2 - x1)


@pytest.mark.parametrize("margin", [0.2, 0.1])
@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_face_without_its_surroundings_is_found_as_a_close_up(
    photo: Path, margin: float, detector: FaceDetector
) -> None:
    pixels = picture(photo)
    whole = largest_face(detector, pixels).landmarks
    close_up = cut_closely(pixels, whole, margin)
    assert detector.detect(Pyramid(close_up)) == []
    (face,) = detector.detect_close_up(Pyramid(close_up, beyond=128))
    size = np.ptp(whole, axis=0)
    expected = whole - np.rint(whole.min(axis=0) - margin * size)
    assert np.abs(face.landmarks - expected).max() < 0.1 * size[0]


@pytest.mark.parametrize("photo", WITHOUT_FACE, ids=lambda photo: photo.stem)
def test_nothing_else_passes_for_a_close_up(photo: Path, detector: FaceDetector) -> None:
    assert [form.shape for form in pieces(picture(photo)) if is_close_up(detector, form)] == []


@pytest.mark.parametrize("photo", sorted(FACES.glob("no_face/*")), ids=lambda photo: photo.stem)
@pytest.mark.faces
def test_no_photo_without_a_face_passes_for_a_close_up(photo: Path, detector: FaceDetector) -> None:
    assert [form.shape for form in pieces(picture(photo)) if is_close_up(detector, form)] == []


def is_close_up(detector: FaceDetector, pixels: Picture) -> bool:
    return bool(detector.detect_close_up(Pyramid(pixels, beyond=128)))


def pieces(pixels: Picture) -> Iterator[Picture]:
    """The whole picture and nine overlapping quarters of it, also mirrored and turned."""
    rows, columns = pixels.shape[:2]
    shares = product((0, 0.25, 0.5), repeat=2)
    corners = [(int(down * rows), int(right * columns)) for down, right in shares]
    for piece in (pixels, *(pixels[r : r + rows // 2, c : c + columns // 2] for r, c in corners)):
        for form in (piece, piece[:, ::-1], *(np.rot90(piece, quarters) for quarters in (1, 2, 3))):
            yield np.ascontiguousarray(form)


def test_of_a_face_beyond_the_edge_only_what_shows_counts_as_its_size(
    detector: FaceDetector,
) -> None:
    pixels = picture(GRACE_HOPPER)
    whole = largest_face(detector, pixels)
    x1, _, x2, _ = whole.box
    third = largest_face(detector, pixels[:, int(x1 + (x2 - x1) / 4) :].copy())
    assert third.box[0] < 0
    assert 0.7 * whole.side < third.side < 0.95 * whole.side


@pytest.mark.parametrize(("right", "down"), [(37, 0), (0, 61), (200, 150)])
def test_landmarks_move_with_the_face(right: int, down: int, detector: FaceDetector) -> None:
    pixels = picture(GRACE_HOPPER)
    shifted = cv2.copyMakeBorder(pixels, down, 0, right, 0, cv2.BORDER_REPLICATE)
    here, there = (largest_face(detector, view) for view in (pixels, shifted))
    assert np.abs(there.landmarks - here.landmarks - (right, down)).max() < 0.04 * here.side


@pytest.mark.parametrize("scale", [0.33, 0.5, 2.0])
def test_landmarks_scale_with_the_picture(scale: float, detector: FaceDetector) -> None:
    pixels = picture(GRACE_HOPPER)
    scaled = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    here, there = (largest_face(detector, view) for view in (pixels, scaled))
    assert np.abs(there.landmarks / scale - here.landmarks).max() < 0.04 * here.side


def test_small_faces_are_not_looked_for_beside_a_large_one(detector: FaceDetector) -> None:
    pixels = picture(GRACE_HOPPER)
    small = cv2.resize(pixels, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    both = np.hstack((pixels, cv2.copyMakeBorder(small, 0, len(pixels) - len(small), 0, 0, 0)))
    assert len(detector.detect(Pyramid(both))) == 2
    assert len(detector.detect(Pyramid(both), rivals=0.6)) == 1


def test_a_network_sees_each_tile_as_it_would_alone(detector: FaceDetector) -> None:
    pyramid = Pyramid(picture(GRACE_HOPPER))
    levels = [pyramid.resized(scale, 6) for scale in (0.2, 0.142, 0.101, 0.05)]
    made, corners = mosaic(levels)
    _, together = detector._propose(made[None])
    for level, (row, column) in zip(levels, corners, strict=True):
        _, alone = detector._propose(level[None])
        rows, columns = ((side - 12) // 2 + 1 for side in level.shape[:2])
        seen = together[0, :, row // 2 :, column // 2 :][:, :rows, :columns]
        np.testing.assert_allclose(seen, alone[0, :, :rows, :columns], atol=1e-5)
