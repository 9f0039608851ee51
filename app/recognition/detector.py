"""MTCNN (Zhang et al. 2016, https://arxiv.org/abs/1604.02878): faces with five landmarks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition.boxes import Boxes, Scores, around, moved, overlaps, squared, suppress
from app.recognition.image import Picture
from app.recognition.mosaic import mosaic
from app.recognition.pyramid import Pyramid
from models import mtcnn
from models.network import Network, Outputs, Runtime

_CELL, _STRIDE = 12, 2  # P-Net looks at 12×12 pixels every 2 pixels
_MARGIN = _CELL // 2  # around the picture, so that a face may lie half outside it
_SCALE_STEP = 0.709  # from one scale to the next: half the area
_SCALES_AT_ONCE = 7  # scales searched together until a face is found
_SCALE_GAP = 1e6  # pixels; larger than any picture, so that boxes of two scales never overlap
_TILE_SIDE = 432  # pixels of a scale that P-Net sees at a time; a multiple of its stride
_BATCH = 64  # boxes that R-Net or O-Net sees at a time
_SAME_FACE = 0.7  # overlap from which two boxes are one face, as a share of the smaller box
_MOST_CELLS = 8_000
"""The best cells of P-Net that are compared with one another."""
_MOST_BOXES = (1_000, 300)
"""The best boxes of the first and the second stage that go on. Photos of 50 people have fewer; a
picture that is made of faces must not take seconds."""
_MIN_SCORES = (0.6, 0.7)  # to pass the first and the second stage
_VIEWS_OF_CLOSE_UP = 8  # of the 45 boxes that `around` returns, those that must hold a face


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """A detected face, in pixels of the picture.

    landmarks: (5, 2) float64 x, y of the eyes, the nose and the corners of the mouth, each pair
        from the picture's left to right.
    """

    box: NDArray[np.float64]  # (4,) x1, y1, x2, y2; may reach beyond the picture
    landmarks: NDArray[np.float64]
    score: float  # in [0, 1]
    side: float  # of the square with the same area as the part of the box inside the picture


class FaceDetector:
    """Finds faces in a picture.

    smallest_face: side of the smallest face to look for, in pixels.
    smallest_share: the same as a share of the picture's shorter side; the larger one counts.
    least_score: score that the last stage must exceed, in [0, 1].
    """

    def __init__(
        self,
        runtime: Runtime,
        smallest_face: float = 20,
        smallest_share: float = 1 / 16,
        least_score: float = 0.9,
    ) -> None:
        self._propose = runtime.compile(mtcnn.proposal())
        self._refine = runtime.compile(mtcnn.refinement())
        self._output = runtime.compile(mtcnn.output())
        self.smallest_face = smallest_face
        self._smallest_share = smallest_share
        self._least_score = least_score

    def detect(
        self, pyramid: Pyramid, rivals: float = 0, smallest_share: float | None = None
    ) -> list[DetectedFace]:
        """Return the faces in the picture, the largest first.

        rivals: share of the largest face's side; once a face is found, smaller faces than that are
        not searched for. The search goes from large faces to small ones, which cost most time.
        smallest_share: replaces the detector's own.
        """
        share = self._smallest_share if smallest_share is None else smallest_share
        scales = self._scales(pyramid, share)
        faces: list[DetectedFace] = []
        while scales and not faces:
            batch, scales = scales[:_SCALES_AT_ONCE], scales[_SCALES_AT_ONCE:]
            faces = distinct(self._search(pyramid, batch))
        if faces:
            # A scale also finds faces somewhat larger than its cell.
            smallest = rivals * faces[0].side * _SCALE_STEP
            if batch := [scale for scale in scales if _CELL / scale >= smallest]:
                faces = distinct(faces + self._search(pyramid, batch))
        return faces

    def detect_close_up(self, pyramid: Pyramid) -> list[DetectedFace]:
        """Return the faces that fill the picture, the largest first.

        P-Net does not propose a face that is cut off closely, so R-Net gets boxes about as large as
        the picture instead. A face is seen from many of them, what only resembles one from a few.
        """
        boxes = self._second_stage(pyramid, around(*pyramid.picture.shape[:2]), max_overlap=1)
        faces = self._last_stage(pyramid, boxes) if len(boxes) else []
        return distinct(faces) if len(faces) >= _VIEWS_OF_CLOSE_UP else []

    def _scales(self, pyramid: Pyramid, smallest_share: float) -> list[float]:
        """Return the factors by which to resize the picture, those for large faces first."""
        shorter = min(pyramid.picture.shape[:2])
        scale = _CELL / max(self.smallest_face, smallest_share * shorter)
        scales = []
        while shorter * scale + 2 * _MARGIN >= 1.5 * _CELL:
            scales.append(scale)
            scale *= _SCALE_STEP
        return scales[::-1]

    def _search(self, pyramid: Pyramid, scales: list[float]) -> list[DetectedFace]:
        boxes = self._first_stage(pyramid, scales)
        if len(boxes):
            boxes = self._second_stage(pyramid, boxes)
        return self._last_stage(pyramid, boxes) if len(boxes) else []

    def _first_stage(self, pyramid: Pyramid, scales: list[float]) -> Boxes:
        tiles = [
            tile
            for number, scale in enumerate(scales)
            for tile in _tiles(pyramid.resized(scale, _MARGIN), number)
        ]
        candidates = [self._candidates(pyramid.picture, group) for group in _groups(tiles)]
        found = map(np.concatenate, zip(*candidates, strict=True))
        cells, scale_of, offsets, scores = _best(_MOST_CELLS, *found)
        # First among the cells of one scale, then among all.
        keep = suppress(cells + (scale_of * _SCALE_GAP)[:, None], scores, 0.5)
        boxes = moved(cells[keep], offsets[keep])
        return squared(boxes[suppress(boxes, scores[keep], 0.7)[: _MOST_BOXES[0]]])

    def _candidates(
        self, picture: Picture, tiles: Sequence["_Tile"]
    ) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float32], Scores]:
        """Return P-Net's cells that may hold a face: boxes in the picture, scales, offsets, scores.

        A scale is given by its number.
        """
        laid_out, corners = mosaic([tile.picture for tile in tiles])
        offsets, certainty = self._propose(laid_out[None])
        tile_of = _tile_numbers(certainty.shape[2:], tiles, corners)
        row, column = np.nonzero((certainty[0, 1] >= _MIN_SCORES[0]) & (tile_of >= 0))
        tile, scores = tile_of[row, column], certainty[0, 1, row, column]
        cells = _cell_boxes(np.stack((column, row), 1), tile, picture, tiles, corners)
        scale = np.array([each.scale for each in tiles])[tile]
        return cells, scale, offsets[0][:, row, column].T, scores

    def _second_stage(self, pyramid: Pyramid, boxes: Boxes, max_overlap: float = 0.7) -> Boxes:
        offsets, certainty = _run(self._refine, pyramid, boxes, 24)
        passed = certainty[:, 1] > _MIN_SCORES[1]
        boxes, offsets, score = boxes[passed], offsets[passed], certainty[passed, 1]
        keep = suppress(boxes, score, max_overlap)[: _MOST_BOXES[1]]
        return squared(moved(boxes[keep], offsets[keep]))

    def _last_stage(self, pyramid: Pyramid, boxes: Boxes) -> list[DetectedFace]:
        offsets, points, certainty = _run(self._output, pyramid, boxes, 48)
        size = boxes[:, None, 2:] - boxes[:, None, :2]
        landmarks = boxes[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * size
        boxes, score = moved(boxes, offsets), certainty[:, 1]
        rows, columns = pyramid.picture.shape[:2]
        inside = np.clip(boxes, 0, (columns, rows, columns, rows))
        side = np.sqrt(np.prod(inside[:, 2:] - inside[:, :2], axis=1))
        passed = np.flatnonzero(score > self._least_score)
        return [
            DetectedFace(boxes[i], landmarks[i], float(score[i]), float(side[i])) for i in passed
        ]


def _best(
    most: int,
    cells: Boxes,
    scale_of: NDArray[np.int64],
    offsets: NDArray[np.float32],
    scores: Scores,
) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float32], Scores]:
    """Return P-Net's cells with the highest scores, in their order, as `_candidates` does."""
    if len(scores) <= most:
        return cells, scale_of, offsets, scores
    kept = np.sort(np.argpartition(-scores, most)[:most])
    return cells[kept], scale_of[kept], offsets[kept], scores[kept]


def _run(network: Network, pyramid: Pyramid, boxes: Boxes, side: int) -> Outputs:
    """Return a network's outputs for (n, 4) boxes, n ≥ 1, each resized to side × side pixels.

    Batches bound the memory: a picture may be made of faces, and a network keeps the memory that
    its largest input took.
    """
    parts = [
        network(pyramid.boxes(boxes[start : start + _BATCH], side))
        for start in range(0, len(boxes), _BATCH)
    ]
    return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))


def distinct(faces: Sequence[DetectedFace]) -> list[DetectedFace]:
    """Return each face once, with its best score, the largest first."""
    by_score = sorted(faces, key=lambda face: face.score, reverse=True)
    boxes = np.array([face.box for face in by_score]).reshape(-1, 4)
    keep, others = [], np.arange(len(by_score))
    while len(others):
        best, others = others[0], others[1:]
        keep.append(by_score[best])
        others = others[overlaps(boxes[best], boxes[others]) <= _SAME_FACE]
    return sorted(keep, key=lambda face: face.side, reverse=True)


def beside(known: Sequence[DetectedFace], found: Sequence[DetectedFace]) -> list[DetectedFace]:
    """Return those of the found faces that are none of the known ones."""
    boxes = np.array([face.box for face in known]).reshape(-1, 4)
    return [face for face in found if not (overlaps(face.box, boxes) > _SAME_FACE).any()]


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A piece of the picture at one scale, with a margin."""

    picture: Picture
    scale: int  # its number
    size: tuple[int, int]  # columns and rows of the resized picture without its margin
    corner: tuple[int, int]  # column and row of the piece in the resized picture with its margin


def _tiles(resized: Picture, scale: int) -> Iterator[_Tile]:
    """Cut a resized picture into tiles that overlap by a cell, so that every cell fits in one."""
    rows, columns = resized.shape[:2]
    size = columns - 2 * _MARGIN, rows - 2 * _MARGIN
    step = _TILE_SIDE - _CELL
    for top in range(0, max(1, rows - _CELL), step):
        for left in range(0, max(1, columns - _CELL), step):
            piece = resized[top : top + _TILE_SIDE, left : left + _TILE_SIDE]
            yield _Tile(piece, scale, size, (left, top))


def _groups(tiles: Sequence[_Tile]) -> Iterator[list[_Tile]]:
    """Group the tiles that P-Net sees together, at most one full tile's area in each group.

    This bounds the memory, because a network keeps the memory that its largest input took.
    """
    group: list[_Tile] = []
    pixels = 0
    for tile in tiles:
        size = tile.picture.shape[0] * tile.picture.shape[1]
        if group and pixels + size > _TILE_SIDE**2:
            yield group
            group, pixels = [], 0
        group.append(tile)
        pixels += size
    yield group


def _tile_numbers(
    shape: tuple[int, int], tiles: Sequence[_Tile], corners: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Return the tile of each cell of P-Net's output; -1 if the cell is not within one tile.

    corners: row and column of each tile in P-Net's input, in pixels.
    """
    tile_of = np.full(shape, -1)
    for number, (tile, (top, left)) in enumerate(zip(tiles, corners, strict=True)):
        rows, columns = ((side - _CELL + 1) // _STRIDE + 1 for side in tile.picture.shape[:2])
        row, column = top // _STRIDE, left // _STRIDE
        tile_of[row : row + rows, column : column + columns] = number
    return tile_of


def _cell_boxes(
    cells: NDArray[np.int64],
    tile: NDArray[np.int64],
    picture: Picture,
    tiles: Sequence[_Tile],
    corners: Sequence[tuple[int, int]],
) -> Boxes:
    """Return cells of P-Net's output as boxes in the picture.

    cells: (n, 2) column and row. tile: (n,) the number of each cell's tile. corners: as in
    `_tile_numbers`.
    """
    begins = np.array([(left, top) for top, left in corners])
    begins -= np.array([each.corner for each in tiles])
    per_pixel = np.array(picture.shape[1::-1]) / np.array([each.size for each in tiles])
    corner = cells * float(_STRIDE) - begins[tile] - _MARGIN
    boxes: Boxes = np.hstack((corner, corner + _CELL)) * np.tile(per_pixel, 2)[tile]
    return boxes
