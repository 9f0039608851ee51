"""Rows for large galleries: binary codes select the finalists, quantised vectors rank them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.rows import RowNumbers, Sizes, Vectors

_BITS = 512
_WORDS = _BITS // 64
_PREFIX_WORDS = _WORDS // 2  # compared for every row
_SUFFIX_FACTOR = 8  # rows whose suffix is compared, per finalist
_ROWS_PER_FINALIST = 512  # rank one row in 512, if that is more than `Sizes.finalists`
_ENCODING_BATCH = 4_096  # rows encoded at a time, to bound the memory of temporary arrays
_SAMPLE_RANK = 256  # rank of the threshold in the sample; 1/sqrt(256) gives ±6 %


@dataclass(frozen=True, slots=True)
class _Block:
    """Codes and quantised vectors of n rows."""

    prefix: NDArray[np.uint64]  # (words, n), the first half of the codes
    suffix: NDArray[np.uint64]  # (n, words), the second half
    quantised: NDArray[np.int8]  # (n, dimension); times `scales`, vectors relative to the centre
    scales: NDArray[np.float32]  # (n,)


class CodedRows:
    """Per row 64 bytes of code, one byte per number of the vector, and a float32 scale.

    A code records on which side of 512 random hyperplanes through the sample's mean a vector lies.
    The more bits two codes share, the smaller is the angle between the vectors, seen from the mean
    (Charikar 2002). A search compares the prefix of every row's code, then the suffixes of the rows
    with the nearest prefixes, then the quantised vectors of the finalists. Only the first step
    grows with the gallery: 32 bytes per row.

    Each word of the prefix is contiguous over the rows of a block, so NumPy scans it quickly. The
    suffix is contiguous within a row, because it is looked up for single rows. Memory is allocated
    in blocks, so no row is copied when the gallery grows.
    """

    def __init__(self, sample: Vectors, sizes: Sizes) -> None:
        """sample: (n, dimension), representative of the vectors to come."""
        self._min_finalists = sizes.finalists
        self._block_size = sizes.block
        self._centre = sample.mean(axis=0)
        self._hyperplanes = _hyperplanes(sample.shape[1])
        self._blocks: list[_Block] = []

    def finalists(self, count: int) -> int:
        return max(self._min_finalists, count // _ROWS_PER_FINALIST)

    def write(self, rows: RowNumbers, vectors: Vectors) -> None:
        for start in range(0, len(rows), _ENCODING_BATCH):
            part = slice(start, start + _ENCODING_BATCH)
            self._store(rows[part], self._encode(vectors[part]))

    def move(self, sources: RowNumbers, targets: RowNumbers) -> None:
        self._store(targets, self._read(sources))

    def wipe(self, rows: RowNumbers) -> None:
        self._store(rows, self._new_block(len(rows)))

    def candidates(
        self, probe: Vectors, count: int, wanted: int, eligible: RowNumbers | None = None
    ) -> RowNumbers:
        rows = np.arange(count) if eligible is None else eligible
        if wanted >= len(rows):
            return rows
        centred = probe - self._centre
        (code,) = _packed(np.vecdot(self._hyperplanes, centred)[None] > 0)
        prefix = self._prefix_distances(code, count)
        rows = rows[
            _smallest(prefix if eligible is None else prefix[rows], wanted * _SUFFIX_FACTOR)
        ]
        distances = np.add(prefix[rows], self._suffix_distances(code, rows), dtype=np.uint16)
        return rows[_smallest(distances, wanted)]

    def similarity(self, rows: RowNumbers, probe: Vectors) -> Vectors:
        similarity = np.full(len(rows), np.vecdot(self._centre, probe), np.float32)
        for block, part, local in self._by_block(rows):
            products = np.vecdot(block.quantised.take(local, axis=0).astype(np.float32), probe)
            similarity[part] += products * block.scales[local]
        return similarity

    def _prefix_distances(self, code: NDArray[np.uint64], count: int) -> NDArray[np.uint8]:
        """Return how many bits of each row's prefix differ.

        As uint8, 256 wraps to 0, but only the opposite code differs in all bits.
        """
        distances = np.empty(count, np.uint8)
        differing = np.empty(self._block_size, np.uint64)
        bits = np.empty(self._block_size, np.uint8)
        for start, block in zip(range(0, count, self._block_size), self._blocks, strict=False):
            part = distances[start : start + self._block_size]
            size = len(part)
            for word in range(_PREFIX_WORDS):
                np.bitwise_xor(block.prefix[word, :size], code[word], out=differing[:size])
                np.bitwise_count(differing[:size], out=bits[:size] if word else part)
                if word:
                    np.add(part, bits[:size], out=part)
        return distances

    def _suffix_distances(self, code: NDArray[np.uint64], rows: RowNumbers) -> NDArray[np.uint8]:
        """Return how many bits of the rows' suffixes differ."""
        distances = np.empty(len(rows), np.uint8)
        for block, part, local in self._by_block(rows):
            differing = np.bitwise_count(block.suffix.take(local, axis=0) ^ code[_PREFIX_WORDS:])
            distances[part] = sum(differing.T)  # by columns, because rows are too short for NumPy
        return distances

    def _encode(self, vectors: Vectors) -> _Block:
        centred = vectors - self._centre
        codes = _packed(centred @ self._hyperplanes.T > 0)
        prefix, suffix = codes[:, :_PREFIX_WORDS].T, codes[:, _PREFIX_WORDS:]
        scales = np.maximum(np.abs(centred).max(axis=1) / 127, np.finfo(np.float32).tiny)
        quantised = np.rint(centred / scales[:, None]).astype(np.int8)
        return _Block(prefix, suffix, quantised, scales)

    def _read(self, rows: RowNumbers) -> _Block:
        copy = self._new_block(len(rows))
        for block, part, local in self._by_block(rows):
            copy.prefix[:, part] = block.prefix[:, local]
            copy.suffix[part] = block.suffix[local]
            copy.quantised[part] = block.quantised[local]
            copy.scales[part] = block.scales[local]
        return copy

    def _store(self, rows: RowNumbers, values: _Block) -> None:
        while len(rows) and rows[-1] >= len(self._blocks) * self._block_size:
            self._blocks.append(self._new_block(self._block_size))
        for block, part, local in self._by_block(rows):
            block.prefix[:, local] = values.prefix[:, part]
            block.suffix[local] = values.suffix[part]
            block.quantised[local] = values.quantised[part]
            block.scales[local] = values.scales[part]

    def _by_block(self, rows: RowNumbers) -> Iterator[tuple[_Block, slice, RowNumbers]]:
        """Yield the blocks that hold the rows, with the slice of `rows` and its local numbers."""
        starts = np.arange(len(self._blocks) + 1) * self._block_size
        edges = np.searchsorted(rows, starts)
        for number in np.flatnonzero(np.diff(edges)):
            part = slice(edges[number], edges[number + 1])
            yield self._blocks[number], part, rows[part] - starts[number]

    def _new_block(self, size: int) -> _Block:
        """Return a block of zeros."""
        return _Block(
            np.zeros((_PREFIX_WORDS, size), np.uint64),
            np.zeros((size, _WORDS - _PREFIX_WORDS), np.uint64),
            np.zeros((size, len(self._centre)), np.int8),
            np.zeros(size, np.float32),
        )


def _hyperplanes(dimension: int) -> Vectors:
    """Return (bits, dimension) normals, which an orthonormal matrix spreads evenly."""
    shape = max(_BITS, dimension), min(_BITS, dimension)
    # The seed is fixed, so that searches are as good after a restart as before.
    orthonormal, _ = np.linalg.qr(np.random.default_rng(0).standard_normal(shape))
    normals = orthonormal if dimension <= _BITS else orthonormal.T
    return np.ascontiguousarray(normals, np.float32)


def _packed(bits: NDArray[np.bool]) -> NDArray[np.uint64]:
    """Pack (n, bits) into (n, words)."""
    return np.packbits(bits, axis=1).view(np.uint64)


def _smallest(distances: NDArray[np.unsignedinteger], wanted: int) -> RowNumbers:
    """Return the positions of about `wanted` smallest distances, in ascending order.

    The threshold is estimated from a sample.
    """
    step = max(1, wanted // _SAMPLE_RANK)
    sample = distances[::step]
    rank = wanted // step
    if rank >= len(sample):
        return np.arange(len(distances))
    found = np.flatnonzero(distances <= np.partition(sample, rank)[rank])
    if len(found) > 2 * wanted:  # many distances equal the threshold
        found = np.sort(found[np.argpartition(distances[found], wanted)[:wanted]])
    return found
