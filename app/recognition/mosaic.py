"""Lay several pictures out side by side, so that a network sees them all in one call."""

from collections.abc import Sequence

import numpy as np

from app.recognition.image import Picture


def mosaic(tiles: Sequence[Picture]) -> tuple[Picture, list[tuple[int, int]]]:
    """Stack the tiles in columns as high as the highest tile.

    This wastes little space if the tiles are one picture at a row of scales.
    tiles: (rows, columns, 3) uint8 each, at least one. Returns a picture of the same kind, black
    between the tiles, and the row and column where each tile begins. They are even, so a network
    that halves the picture sees each tile as it would see it alone.
    """
    sizes = [(rows + rows % 2, columns + columns % 2) for rows, columns, _ in map(np.shape, tiles)]
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
    return picture, corners
