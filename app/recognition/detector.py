"""MTCNN (Zhang et al. 2016, https://arxiv.org/abs/1604.02878): faces with five landmarks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition.image import Picture
from app.recognition.mosaic import mosaic
from app.recognition.pyramid import Pyramid
from models import mtcnn
from models.network import Network, Outputs, Runtime

Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]

_CELL, _STRIDE = 12, 2  # P-Net looks at 12×12 pixels every 2 pixels
_MARGIN = _CELL // 2  # so that a face may lie half outside the picture
_SHRINK = 0.709  # from one scale to the next: half the area
_BAND = 7  # scales that are searched at a time until a face is found
_APART = 1e6  # pixels, more than any picture has along a side
_TILE = 432  # pixels along a side that P-Net sees at a time; a multiple of its stride
_AT_ONCE = 64  # boxes that a network sees at a time
_SAME = 0.7  # overlap of one face's boxes, as a share of the smaller one
_SCORES = (0.6, 0.7)  # what passes the first two stages


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """A detected face, in pixels of the picture.

    box: (4,) float64 x1, y1, x2, y2; may reach beyond the picture.
    landmarks: (5, 2) float64 x, y of the eyes, the nose and the corners of the mouth, from the
        picture's left to right.
    score: in [0, 1].
    side: of a square as large as the part of the box that lies inside the picture, in pixels.
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    score: float
    side: float


class FaceDetector:
    """Finds faces in a picture, the largest first.

    smallest_face: side of the smallest face looked for, in pixels.
    smallest_share: the same as a share of the picture's shorter side; the larger one counts.
    least_score: what the last stage must be sure of, in [0, 1].
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
        """The faces in the picture, the largest first.

        rivals: once a face is found, faces below this share of its side are not looked for. The
        search goes from large faces to small ones, and the small ones are what costs time.
        smallest_share: in place of the detector's own.
        """
        share = self._smallest_share if smallest_share is None else smallest_share
        scales = self._scales(pyramid, share)
        faces: list[DetectedFace] = []
        while scales and not faces:
            band, scales = scales[:_BAND], scales[_BAND:]
            faces = distinct(self._faces(pyramid, band))
        if faces:
            # a scale finds faces somewhat larger than its cell, too
            enough = rivals * faces[0].side * _SHRINK
            if band := [scale for scale in scales if _CELL / scale >= enough]:
                faces = distinct(faces + self._faces(pyramid, band))
        return faces

    def _scales(self, pyramid: Pyramid, smallest_share: float) -> list[float]:
        """How much to shrink the picture for each size of face, large faces first."""
        shorter = min(pyramid.picture.shape[:2])
        scale = _CELL / max(self.smallest_face, smallest_share * shorter)
        scales = []
        while shorter * scale + 2 * _MARGIN >= 1.5 * _CELL:
            scales.append(scale)
            scale *= _SHRINK
        return scales[::-1]

    def _faces(self, pyramid: Pyramid, scales: list[float]) -> list[DetectedFace]:
        boxes = self._proposed(pyramid, scales)
        if len(boxes):
            boxes = self._refined(pyramid, boxes)
        return self._found(pyramid, boxes) if len(boxes) else []

    def _proposed(self, pyramid: Pyramid, scales: list[float]) -> Boxes:
        tiles = [
            tile
            for number, scale in enumerate(scales)
            for tile in _tiles(pyramid.resized(scale, _MARGIN), number)
        ]
        found = [self._seen_in(pyramid.picture, group) for group in _groups(tiles)]
        cells, level, offsets, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        # of one level first: set apart, so that no cell overlaps one of another level
        keep = suppress(cells + (level * _APART)[:, None], scores, 0.5)
        boxes = moved(cells[keep], offsets[keep])
        return squared(boxes[suppress(boxes, scores[keep], 0.7)])

    def _seen_in(
        self, picture: Picture, tiles: Sequence["_Tile"]
    ) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float32], Scores]:
        """P-Net's cells that may hold a face: boxes in the picture, levels, offsets and scores."""
        laid = mosaic([tile.picture for tile in tiles])
        offsets, certainty = self._propose(laid.picture[None])
        tile_of = _tile_numbers(certainty.shape[2:], tiles, laid.places)
        row, column = np.nonzero((certainty[0, 1] >= _SCORES[0]) & (tile_of >= 0))
        tile, scores = tile_of[row, column], certainty[0, 1, row, column]
        cells = _cells(np.stack((column, row), 1), tile, picture, tiles, laid.places)
        level = np.array([each.level for each in tiles])[tile]
        return cells, level, offsets[0][:, row, column].T, scores

    def _refined(self, pyramid: Pyramid, boxes: Boxes) -> Boxes:
        offsets, certainty = _seen_by(self._refine, pyramid, boxes, 24)
        passed = certainty[:, 1] > _SCORES[1]
        boxes, offsets, score = boxes[passed], offsets[passed], certainty[passed, 1]
        keep = suppress(boxes, score, 0.7)
        return squared(moved(boxes[keep], offsets[keep]))

    def _found(self, pyramid: Pyramid, boxes: Boxes) -> list[DetectedFace]:
        offsets, points, certainty = _seen_by(self._output, pyramid, boxes, 48)
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


def _seen_by(network: Network, pyramid: Pyramid, boxes: Boxes, side: int) -> Outputs:
    """What a network says of (n, 4) boxes, n ≥ 1.

    Some at a time: a picture may be made of faces, and a network keeps the memory that its largest
    input took.
    """
    parts = [
        network(pyramid.boxes(boxes[start : start + _AT_ONCE], side))
        for start in range(0, len(boxes), _AT_ONCE)
    ]
    return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))


def distinct(faces: Sequence[DetectedFace]) -> list[DetectedFace]:
    """Each face once, as its best score has it, the largest first."""
    left = sorted(faces, key=lambda face: face.score, reverse=True)
    boxes = np.array([face.box for face in left]).reshape(-1, 4)
    keep, others = [], np.arange(len(left))
    while len(others):
        best, others = others[0], others[1:]
        keep.append(left[best])
        others = others[_overlaps(boxes[best], boxes[others]) <= _SAME]
    return sorted(keep, key=lambda face: face.side, reverse=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A piece of a level, which is the picture at one scale with a margin.

    level: its number. size: columns and rows of the level without its margin. corner: column and
    row of the level where the piece begins.
    """

    picture: Picture
    level: int
    size: tuple[int, int]
    corner: tuple[int, int]


def _tiles(level: Picture, number: int) -> Iterator[_Tile]:
    """The level in pieces that overlap by a cell, so that each cell lies whole in one of them."""
    rows, columns = level.shape[:2]
    size = columns - 2 * _MARGIN, rows - 2 * _MARGIN
    step = _TILE - _CELL
    for top in range(0, max(1, rows - _CELL), step):
        for left in range(0, max(1, columns - _CELL), step):
            piece = level[top : top + _TILE, left : left + _TILE]
            yield _Tile(piece, number, size, (left, top))


def _groups(tiles: Sequence[_Tile]) -> Iterator[list[_Tile]]:
    """Tiles that P-Net sees together: a network keeps the memory that its largest input took."""
    group: list[_Tile] = []
    pixels = 0
    for tile in tiles:
        size = tile.picture.shape[0] * tile.picture.shape[1]
        if group and pixels + size > _TILE**2:
            yield group
            group, pixels = [], 0
        group.append(tile)
        pixels += size
    yield group


def _tile_numbers(
    shape: tuple[int, int], tiles: Sequence[_Tile], places: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Which tile each cell of P-Net's output lies in; -1 where in none, or across an edge.

    places: where the tiles stand in what P-Net saw, in pixels.
    """
    tile_of = np.full(shape, -1)
    for number, (tile, (top, left)) in enumerate(zip(tiles, places, strict=True)):
        rows, columns = ((side - _CELL + 1) // _STRIDE + 1 for side in tile.picture.shape[:2])
        row, column = top // _STRIDE, left // _STRIDE
        tile_of[row : row + rows, column : column + columns] = number
    return tile_of


def _cells(
    corners: NDArray[np.int64],
    tile: NDArray[np.int64],
    picture: Picture,
    tiles: Sequence[_Tile],
    places: Sequence[tuple[int, int]],
) -> Boxes:
    """What P-Net's cells see, as boxes in the picture.

    corners: (n, 2) column and row of each cell; tile: (n,) which one it lies in.
    """
    begins = np.array([(left, top) for top, left in places])
    begins -= np.array([each.corner for each in tiles])
    per_pixel = np.array(picture.shape[1::-1]) / np.array([each.size for each in tiles])
    corner = corners * float(_STRIDE) - begins[tile] - _MARGIN
    boxes: Boxes = np.hstack((corner, corner + _CELL)) * np.tile(per_pixel, 2)[tile]
    return boxes


def moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Boxes with their corners moved by `offsets` (n, 4), given in widths and heights."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.hstack((size, size))


def squared(boxes: Boxes) -> Boxes:
    """Squares with the boxes' centres and longer sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack((centre - half, centre + half))


def suppress(boxes: Boxes, scores: Scores, most: float) -> NDArray[np.intp]:
    """Non-maximum suppression: the indices of the boxes that stay, the best score first.

    most: the overlap from which on the lesser box goes, as a share of the union; at exactly that,
        which cells of P-Net often have, both stay.
    """
    corners_and_sizes = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    keep = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), 0.0, most)
    return np.asarray(keep, np.intp)


def _overlaps(box: NDArray[np.float64], others: Boxes) -> NDArray[np.float64]:
    """(n,) what the box shares with each of the others, as a share of the smaller of the two."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(size, 0), axis=1)
    area = np.prod(others[:, 2:] - others[:, :2], axis=1)
    overlaps: NDArray[np.float64] = shared / np.minimum(np.prod(box[2:] - box[:2]), area)
    return overlaps
