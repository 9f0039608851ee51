"""Several pictures side by side in one, so that a network sees them all in one call."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.recognition.image import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """picture: (rows, columns, 3) uint8, black between the tiles.

    places: row and column where each tile begins, even numbers, so that a network that halves the
        picture sees each tile as it would alone.
    """

    picture: Picture
    places: list[tuple[int, int]]


def mosaic(tiles: Sequence[Picture]) -> Mosaic:
    """Lay the tiles in columns as high as the highest one: tight where each is a scale of the next.

    tiles: (rows, columns, 3) uint8 each, at least one.
    """
    sizes = [_even(tile) for tile in tiles]
    height = max(rows for rows, _ in sizes)
    places = [(0, 0)] * len(tiles)
    left = right = bottom = 0
    for number in sorted(range(len(tiles)), key=lambda number: sizes[number], reverse=True):
        rows, columns = sizes[number]
        if bottom + rows > height:
            left, bottom = right, 0
        places[number] = bottom, left
        bottom, right = bottom + rows, max(right, left + columns)
    picture = np.zeros((height, right, 3), np.uint8)
    for tile, (row, column) in zip(tiles, places, strict=True):
        picture[row : row + tile.shape[0], column : column + tile.shape[1]] = tile
    return Mosaic(picture, places)


def _even(tile: Picture) -> tuple[int, int]:
    rows, columns = tile.shape[:2]
    return rows + rows % 2, columns + columns % 2
