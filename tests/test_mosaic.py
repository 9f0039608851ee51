"""Pictures laid side by side: each is there, whole, and none touches another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.recognition.detector import FaceDetector
from app.recognition.mosaic import mosaic
from app.recognition.pyramid import Pyramid
from tests.photos import GRACE_HOPPER, picture

sides = st.integers(1, 40)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=8))
def test_every_tile_is_where_it_is_said_to_be(shapes: list[tuple[int, int]]) -> None:
    made, corners = mosaic([np.full((*shape, 3), 1, np.uint8) for shape in shapes])
    for (rows, columns), (row, column) in zip(shapes, corners, strict=True):
        assert row % 2 == column % 2 == 0
        assert (made[row : row + rows, column : column + columns] == 1).all()
    # each pixel is of one tile at the most
    assert made.sum() == 3 * sum(rows * columns for rows, columns in shapes)


@given(st.integers(12, 300), st.integers(12, 300))
def test_scales_of_one_picture_lie_close_together(rows: int, columns: int) -> None:
    shapes = [(round(rows * 0.7**n) + 12, round(columns * 0.7**n) + 12) for n in range(7)]
    made, _ = mosaic([np.zeros((*shape, 3), np.uint8) for shape in shapes])
    area = sum(tall * wide for tall, wide in shapes)
    assert made.shape[0] * made.shape[1] < 1.8 * area + 1000


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
