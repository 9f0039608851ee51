"""Rows for large galleries: short binary codes find the finalists, bytes rank them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.rows import RowNumbers, Sizes, Vectors

_BITS = 512
_WORDS = _BITS // 64
_EARLY_WORDS = _WORDS // 2
_SURVIVORS = 8  # times the finalists outlive the first half of the code
_ROWS_A_FINALIST = 512
_ENCODED_AT_ONCE = 4_096
_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class _Block:
    """early: (words, n) and late: (n, words) uint64, the halves of the codes.
    numbers: (n, dimension) int8. scales: (n,) float32."""

    early: NDArray[np.uint64]
    late: NDArray[np.uint64]
    numbers: NDArray[np.int8]
    scales: NDArray[np.float32]


class CodedRows:
    """64 bytes of code a row, and one byte a number with a float32 scale.

    A code says on which side of 512 random hyperplanes through the sample's mean a vector lies;
    the more bits two codes share, the smaller the angle between them, seen from the mean
    (Charikar 2002). A scan takes three steps: half of the code of every row, the other half where
    the first looked near, and the numbers of the finalists. Only the first step grows with the
    gallery: 32 bytes a row.

    A word of the first half is contiguous over the rows of a block, so NumPy runs down it at speed;
    the second half is contiguous in a row, because it is looked up here and there. Memory comes in
    blocks, so no row is ever copied because the gallery grows.
    """

    def __init__(self, sample: Vectors, sizes: Sizes) -> None:
        """sample: (n, dimension), vectors like those to come."""
        self._least_finalists = sizes.finalists
        self._rows_a_block = sizes.block
        self._centre = sample.mean(axis=0)
        self._hyperplanes = _hyperplanes(sample.shape[1])
        self._blocks: list[_Block] = []

    def finalists(self, count: int) -> int:
        return max(self._least_finalists, count // _ROWS_A_FINALIST)

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        for start in range(0, len(rows), _ENCODED_AT_ONCE):
            part = slice(start, start + _ENCODED_AT_ONCE)
            self._store(rows[part], self._encode(vectors[part]))

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        self._store(targets, self._read(sources))

    def wipe(self, rows: RowNumbers) -> None:
        self._store(rows, self._new_block(len(rows)))

    def candidates(self, probe: Vectors, count: int, wanted: int) -> RowNumbers:
        if wanted >= count:
            return np.arange(count)
        centred = probe - self._centre
        (code,) = _packed(np.vecdot(self._hyperplanes, centred)[None] > 0)
        early = self._early_distances(code, count)
        rows = _least(early, wanted * _SURVIVORS)
        distances = np.add(early[rows], self._late_distances(code, rows), dtype=np.uint16)
        return rows[_least(distances, wanted)]

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        similarity = np.full(len(rows), np.vecdot(self._centre, probe), np.float32)
        for block, part, local in self._by_block(rows):
            products = np.vecdot(block.numbers.take(local, axis=0).astype(np.float32), probe)
            similarity[part] += products * block.scales[local]
        return similarity

    def _early_distances(self, code: NDArray[np.uint64], count: int) -> NDArray[np.uint8]:
        """Of each row, how many of the first half's bits differ. (Only its opposite wraps to 0.)"""
        distances = np.empty(count, np.uint8)
        differing = np.empty(self._rows_a_block, np.uint64)
        bits = np.empty(self._rows_a_block, np.uint8)
        for start, block in zip(range(0, count, self._rows_a_block), self._blocks, strict=False):
            part = distances[start : start + self._rows_a_block]
            size = len(part)
            for word in range(_EARLY_WORDS):
                np.bitwise_xor(block.early[word, :size], code[word], out=differing[:size])
                np.bitwise_count(differing[:size], out=bits[:size] if word else part)
                if word:
                    np.add(part, bits[:size], out=part)
        return distances

    def _late_distances(self, code: NDArray[np.uint64], rows: RowNumbers) -> NDArray[np.uint8]:
        distances = np.empty(len(rows), np.uint8)
        for block, part, local in self._by_block(rows):
            differing = np.bitwise_count(block.late.take(local, axis=0) ^ code[_EARLY_WORDS:])
            distances[part] = sum(differing.T)  # column by column: rows are too short for NumPy
        return distances

    def _encode(self, vectors: Vectors) -> _Block:
        centred = vectors - self._centre
        codes = _packed(centred @ self._hyperplanes.T > 0)
        early, late = codes[:, :_EARLY_WORDS].T, codes[:, _EARLY_WORDS:]
        scales = np.maximum(np.abs(centred).max(axis=1) / 127, np.finfo(np.float32).tiny)
        numbers = np.rint(centred / scales[:, None]).astype(np.int8)
        return _Block(early, late, numbers, scales)

    def _read(self, rows: RowNumbers) -> _Block:
        copy = self._new_block(len(rows))
        for block, part, local in self._by_block(rows):
            copy.early[:, part] = block.early[:, local]
            copy.late[part] = block.late[local]
            copy.numbers[part] = block.numbers[local]
            copy.scales[part] = block.scales[local]
        return copy

    def _store(self, rows: RowNumbers, values: _Block) -> None:
        while len(rows) and rows[-1] >= len(self._blocks) * self._rows_a_block:
            self._blocks.append(self._new_block(self._rows_a_block))
        for block, part, local in self._by_block(rows):
            block.early[:, local] = values.early[:, part]
            block.late[local] = values.late[part]
            block.numbers[local] = values.numbers[part]
            block.scales[local] = values.scales[part]

    def _by_block(self, rows: RowNumbers) -> Iterator[tuple[_Block, slice, RowNumbers]]:
        """The blocks that hold the rows, which part of `rows` each holds, and where in it."""
        starts = np.arange(len(self._blocks) + 1) * self._rows_a_block
        edges = np.searchsorted(rows, starts)
        for number in np.flatnonzero(np.diff(edges)):
            part = slice(edges[number], edges[number + 1])
            yield self._blocks[number], part, rows[part] - starts[number]

    def _new_block(self, size: int) -> _Block:
        """All zeros."""
        return _Block(
            np.zeros((_EARLY_WORDS, size), np.uint64),
            np.zeros((size, _WORDS - _EARLY_WORDS), np.uint64),
            np.zeros((size, len(self._centre)), np.int8),
            np.zeros(size, np.float32),
        )


def _hyperplanes(dimension: int) -> Vectors:
    """(bits, dimension) normals, as evenly spread as an orthonormal matrix makes them."""
    shape = max(_BITS, dimension), min(_BITS, dimension)
    # always the same ones: a search is as good after a restart as it was before
    orthonormal, _ = np.linalg.qr(np.random.default_rng(0).standard_normal(shape))
    normals = orthonormal if dimension <= _BITS else orthonormal.T
    return np.ascontiguousarray(normals, np.float32)


def _packed(bits: NDArray[np.bool]) -> NDArray[np.uint64]:
    """(n, bits) → (n, words)."""
    return np.packbits(bits, axis=1).view(np.uint64)


def _least(distances: NDArray[np.unsignedinteger], wanted: int) -> RowNumbers:
    """Where about `wanted` least distances are; how little is little is read off a sample."""
    step = max(1, wanted // _SAMPLE)
    sample = distances[::step]
    rank = wanted // step
    if rank >= len(sample):
        return np.arange(len(distances))
    found = np.flatnonzero(distances <= np.partition(sample, rank)[rank])
    if len(found) > 2 * wanted:  # there are very many as far as the last one
        found = np.sort(found[np.argpartition(distances[found], wanted)[:wanted]])
    return found
