"""Pictures laid side by side: each is there, whole, and none touches another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.recognition.mosaic import mosaic

sides = st.integers(1, 40)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=8))
def test_every_tile_is_where_it_is_said_to_be(shapes: list[tuple[int, int]]) -> None:
    made = mosaic([np.full((*shape, 3), 1, np.uint8) for shape in shapes])
    for (rows, columns), (row, column) in zip(shapes, made.corners, strict=True):
        assert row % 2 == column % 2 == 0
        assert (made.picture[row : row + rows, column : column + columns] == 1).all()
    # each pixel is of one tile at the most
    assert made.picture.sum() == 3 * sum(rows * columns for rows, columns in shapes)


@given(st.integers(12, 300), st.integers(12, 300))
def test_scales_of_one_picture_lie_close_together(rows: int, columns: int) -> None:
    shapes = [(round(rows * 0.7**n) + 12, round(columns * 0.7**n) + 12) for n in range(7)]
    made = mosaic([np.zeros((*shape, 3), np.uint8) for shape in shapes])
    area = sum(tall * wide for tall, wide in shapes)
    assert made.picture.shape[0] * made.picture.shape[1] < 1.8 * area + 1000
