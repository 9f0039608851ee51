"""The geometry around a face is exact to the half pixel."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.recognition.alignment import chip_to_picture, middle, similarity
from app.recognition.boxes import moved, squared, suppress
from app.recognition.detector import DetectedFace, distinct
from app.recognition.pyramid import Pyramid
from models.catalogue import BoxAlignment, FaceModel, LandmarkAlignment
from models.network import NetworkSource

numbers = st.floats(-1000, 1000)


@given(
    arrays(float, (5, 2), elements=st.integers(-200, 200)).filter(
        lambda points: points.std(axis=0).max() > 1
    ),
    st.floats(0, 2 * np.pi),
    st.floats(0.01, 100),
    st.tuples(numbers, numbers),
)
def test_a_similarity_is_recovered_exactly(
    points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points, points @ turn.T + shift)
    np.testing.assert_allclose(found, np.column_stack((turn, shift)), rtol=1e-6, atol=1e-6)


def test_a_similarity_never_mirrors() -> None:
    points = np.array([(0, 0), (10, 0), (5, 6), (1, 9), (9, 9)], float)
    assert np.linalg.det(similarity(points, points * (-1, 1))[:, :2]) > 0


def model(alignment: BoxAlignment | LandmarkAlignment, side: int) -> FaceModel:
    def network() -> NetworkSource:
        raise NotImplementedError

    return FaceModel("any", side, 1, alignment, 1.0, network)


def test_landmarks_come_to_lie_where_the_model_wants_them() -> None:
    points = np.array(((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0)))
    face = DetectedFace(np.zeros(4), points * 3 + (100, 50), 1.0, 1.0)
    wanted = LandmarkAlignment(tuple(map(tuple, points.tolist())))
    to_picture = chip_to_picture(face, model(wanted, 100))
    np.testing.assert_allclose(to_picture, [[3, 0, 100], [0, 3, 50]], atol=1e-9)


def test_a_box_is_stretched_to_the_chip_inside_its_margin() -> None:
    face = DetectedFace(np.array([10.0, 20.0, 110.0, 220.0]), np.zeros((5, 2)), 1.0, 1.0)
    to_picture = chip_to_picture(face, model(BoxAlignment(margin=0.2), 100))
    corners = np.array([(10, 10), (90, 90)]) @ to_picture[:, :2].T + to_picture[:, 2]
    np.testing.assert_allclose(corners, [(10, 20), (110, 220)])


def test_a_crop_is_the_middle_of_the_chip() -> None:
    to_picture = np.array([[2.0, 1.0, 30.0], [-1.0, 2.0, 40.0]])
    inner = middle(to_picture, 0.8, 100)
    corners, inside = np.array([(0, 0), (100, 100)]), np.array([(10, 10), (90, 90)])
    np.testing.assert_allclose(
        corners @ inner[:, :2].T + inner[:, 2], inside @ to_picture[:, :2].T + to_picture[:, 2]
    )


def ramp(side: int, step: float = 1.0) -> np.ndarray:
    """(side, side, 3): grows from left to right in one channel, from top to bottom in another."""
    values = np.arange(side) * step
    pixels = np.zeros((side, side, 3))
    pixels[..., 0], pixels[..., 1] = values, values[:, None]
    return pixels.astype(np.uint8)


def test_a_warp_to_itself_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    warped = Pyramid(pixels).warped(np.array([[1.0, 0, 0], [0, 1, 0]]), 40)
    np.testing.assert_array_equal(warped, pixels)


@pytest.mark.parametrize("side", [240, 251])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.0, 3.0, 4.0, 5.3, 8.0])
def test_a_shrunk_picture_is_not_shifted(scale: float, side: int) -> None:
    """Pixel i of the chip shows what lies around (i + 1/2) × scale."""
    chip_side = int(side / scale)
    chip = Pyramid(ramp(side)).warped(np.array([[scale, 0, 0], [0, scale, 0]]), chip_side)
    expected = (np.arange(chip_side) + 0.5) * scale - 0.5
    inside = slice(2, -2)
    np.testing.assert_allclose(chip[inside, inside, 0] - expected[inside], 0, atol=1.01)
    np.testing.assert_allclose(chip[inside, inside, 1].T - expected[inside], 0, atol=1.01)
    assert abs((chip[inside, inside, 0] - expected[inside]).mean()) < 0.6


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shrinking_averages_areas(scale: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8)
    side = 240 // scale
    chip = Pyramid(noise).warped(np.array([[scale, 0, 0], [0, scale, 0]], float), side)
    means = noise.reshape(side, scale, side, scale, 3).mean(axis=(1, 3))
    assert np.abs(chip - means).max() < 3


def test_shrinking_by_any_scale_skips_no_pixels() -> None:
    """Fine stripes become grey, not stripes of another width."""
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = Pyramid(stripes).warped(np.array([[3.1, 0, 0], [0, 3.1, 0]]), 70)
    assert chip.std() < 10


def test_what_lies_outside_is_black() -> None:
    white = Pyramid(np.full((50, 80, 3), 255, np.uint8))
    (crop,) = white.boxes(np.array([[-20.0, -20, 20, 20]]), 40)
    assert (crop[:19] == 0).all()
    assert (crop[:, :19] == 0).all()
    assert (crop[21:, 21:] == 255).all()
    (away,) = white.boxes(np.array([[100.0, 0, 140, 40]]), 24)
    assert (away == 0).all()


def test_what_lies_outside_can_be_grey() -> None:
    white = Pyramid(np.full((50, 80, 3), 255, np.uint8), beyond=128)
    (crop,) = white.boxes(np.array([[-20.0, -20, 20, 20]]), 40)
    assert (crop[:19] == 128).all()
    assert (crop[:, :19] == 128).all()
    assert (crop[21:, 21:] == 255).all()
    level = white.resized(0.5, margin=6)
    assert (level[:6] == 128).all()
    assert (level[6:-6, 6:-6] == 255).all()


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.13])
def test_a_resized_picture_keeps_its_shape_and_gets_a_black_margin(scale: float) -> None:
    level = Pyramid(np.full((97, 201, 3), 255, np.uint8)).resized(scale, margin=6)
    assert level.shape == (round(97 * scale) + 12, round(201 * scale) + 12, 3)
    assert (level[6:-6, 6:-6] == 255).all()
    assert level.sum() == level[6:-6, 6:-6].sum()


BOXES = np.array([[0.0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40], [2, 2, 6, 6]])


def test_of_overlapping_boxes_the_best_stays() -> None:
    scores = np.array([0.8, 0.9, 0.7, 0.6], np.float32)
    assert suppress(BOXES, scores, 0.5).tolist() == [1, 2, 3]
    assert suppress(BOXES, scores, 0.9).tolist() == [1, 0, 2, 3]
    assert suppress(BOXES[:0], scores[:0], 0.5).tolist() == []


def test_a_box_inside_a_better_one_is_the_same_face() -> None:
    def faces(*scores: float) -> list[DetectedFace]:
        sides = (10.0, 10.0, 10.0, 4.0)
        points = np.zeros((5, 2))
        return [
            DetectedFace(box, points, *rest)
            for box, *rest in zip(BOXES, scores, sides, strict=True)
        ]

    assert [face.score for face in distinct(faces(0.8, 0.9, 0.7, 0.6))] == [0.9, 0.7]
    assert [face.score for face in distinct(faces(0.5, 0.4, 0.7, 0.9))] == [0.7, 0.9]


def test_a_picture_of_thousands_of_faces_takes_no_minute() -> None:
    corner = np.array([(x, y) for x in range(0, 800, 10) for y in range(0, 800, 20)], np.float64)
    boxes = np.hstack((corner, corner + 20))
    crowd = [
        DetectedFace(box, np.zeros((5, 2)), 1 - i / 9_999, 20.0) for i, box in enumerate(boxes)
    ]
    began = time.process_time()
    assert len(distinct(crowd)) == 3_200
    assert time.process_time() - began < 5


def test_equal_scores_keep_their_order() -> None:
    assert suppress(BOXES, np.ones(4, np.float32), 1.0).tolist() == [0, 1, 2, 3]


def test_boxes_move_by_shares_of_their_size_and_become_squares() -> None:
    boxes = np.array([[10.0, 20, 30, 60]])
    offsets = np.array([[0.1, 0.1, -0.5, 0]], np.float32)
    np.testing.assert_allclose(moved(boxes, offsets), [[12, 24, 20, 60]], atol=1e-5)
    np.testing.assert_allclose(squared(boxes), [[0, 20, 40, 60]])
