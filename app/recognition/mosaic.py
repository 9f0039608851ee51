"""Lay several pictures out side by side, so that a network sees them all in one call."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.recognition.image import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """picture: (rows, columns, 3) uint8, black between the tiles.

    corners: row and column where each tile begins. They are even, so a network that halves the
        picture sees each tile as it would see it alone.
    """

    picture: Picture
    corners: list[tuple[int, int]]


def mosaic(tiles: Sequence[Picture]) -> Mosaic:
    """Stack the tiles in columns as high as the highest tile.

    This wastes little space if the tiles are one picture at a row of scales.
    tiles: (rows, columns, 3) uint8 each, at least one.
    """
    sizes = [_even(tile) for tile in tiles]
    height = max(rows for rows, _ in sizes)
    corners = [(0, 0)] * len(tiles)
    left = right = bottom = 0
    for number in sorted(range(len(tiles)), key=lambda number: sizes[number], reverse=True):
        rows, columns = sizes[number]
        if bottom + rows > height:
            left, bottom = right, 0
        corners[number] = bottom, left
        bottom, right = bottom + rows, max(right, left + columns)
    picture = np.zeros((height, right, 3), np.uint8)
    for tile, (row, column) in zip(tiles, corners, strict=True):
        picture[row : row + tile.shape[0], column : column + tile.shape[1]] = tile
    return Mosaic(picture, corners)


def _even(tile: Picture) -> tuple[int, int]:
    """Return rows and columns, rounded up to even numbers."""
    rows, columns = tile.shape[:2]
    return rows + rows % 2, columns + columns % 2
