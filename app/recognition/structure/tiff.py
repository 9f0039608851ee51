"""TIFF and BigTIFF: keep the first directory, with the tags that decoding the pixels needs."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from app.recognition.structure.jpeg import MAX_SCANS, scans
from app.recognition.structure.parts import MAX_OVERLAP, TooMuch, number

_MAX_TAGS = 4_096
_MAX_STRIPS = 32_768
_MAX_BYTES = 1 << 16  # of the values of any other tag
_MAX_NUMBERS = 4_096  # values of any other tag, unless they are bytes or colours
_SPARE_STRIPS = 4  # some writers declare more strips than there are

_PREFIXES = (b"MM\0*", b"II*\0", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")
_WIDTH, _LENGTH, _SAMPLES, _ROWS = 256, 257, 277, 278
_PLANES, _TILE_WIDTH, _TILE_LENGTH = 284, 322, 323
_COMPRESSION, _JPEGS = 259, (6, 7)
_SCALARS = {_COMPRESSION, _WIDTH, _LENGTH, _SAMPLES, _ROWS, _PLANES, _TILE_WIDTH, _TILE_LENGTH}
_STARTS, _SIZES = (273, 324), (279, 325)
_OF_STRIPS = {*_STARTS, *_SIZES}
_COLOUR_MAP = 320
# The tags that decoders read: how pixels are packed, compressed, coloured and oriented.
_KEPT = {
    *(254, 255, 258, 262, 266, 274, 292, 293, 317, _COLOUR_MAP, 332, 334, 338, 339, 347),
    *range(512, 522),
    *(529, 530, 531, 532, 50674),
    *_SCALARS,
    *_OF_STRIPS,
}
# Kinds of values, and the bytes that one value takes.
_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_UNITS |= {13: 4, 16: 8, 17: 8, 18: 8}
_BYTES = {1, 2, 6, 7}  # kinds of bytes
_WHOLE = {3: 2, 4: 4, 16: 8}  # kinds of whole numbers


def is_tiff(data: bytes) -> bool:
    return data.startswith(_PREFIXES)


def bounded(data: bytes) -> bytes:
    """Return the picture with a single directory of only the tags kept. Raises TooMuch."""
    little, big = data.startswith(b"II"), data[2] == 43
    if data.startswith(b"MM\0+"):  # Pillow misreads this as a classic TIFF
        raise ValueError("a BigTIFF in an unsupported byte order")
    word, entry, head = (8, 20, 8) if big else (4, 12, 2)
    directory = number(data, 8 if big else 4, word, little)
    tags = number(data, directory, head, little)
    if tags > _MAX_TAGS:
        raise TooMuch
    kept: dict[int, bytes] = {}
    numbers: dict[int, int] = {}
    arrays: dict[int, list[int]] = {}
    first = directory + head
    for at in range(first, first + tags * entry, entry):
        tag, kind = number(data, at, 2, little), number(data, at + 2, 2, little)
        if tag not in _KEPT or tag in kept:
            continue
        count = number(data, at + 4, word, little)
        if tag in _SCALARS:
            if count != 1 or kind not in _WHOLE:
                raise ValueError("a size that is not a number")
            numbers[tag] = number(data, at + 4 + word, min(_WHOLE[kind], word), little)
        elif tag in _OF_STRIPS:
            if count > _MAX_STRIPS:
                raise TooMuch
            arrays[tag] = _whole_numbers(data, at + 4 + word, kind, count, word, little)
        elif kind not in _UNITS:
            continue
        elif count * _UNITS[kind] > _MAX_BYTES or (
            count > _MAX_NUMBERS and kind not in _BYTES and tag != _COLOUR_MAP
        ):
            raise TooMuch
        kept[tag] = data[at : at + entry]
    strips = max(map(len, arrays.values()), default=0)
    if strips > _needed(numbers) + _SPARE_STRIPS:
        raise TooMuch
    # Strips may share bytes, but a decoder reads them again for each strip.
    if any(sum(arrays.get(tag, ())) > MAX_OVERLAP * len(data) for tag in _SIZES):
        raise TooMuch
    if numbers.get(_COMPRESSION) in _JPEGS:
        _check_scans(data, arrays)
    after = first + tags * entry
    if len(kept) == tags and not any(data[after : after + word]):
        return data
    start = len(data) + len(data) % 2
    order: Literal["little", "big"] = "little" if little else "big"
    return b"".join(
        (
            data[:8] if big else data[:4],
            start.to_bytes(word, order),
            memoryview(data)[16 if big else 8 :],
            bytes(len(data) % 2),
            len(kept).to_bytes(head, order),
            *kept.values(),
            bytes(word),
        )
    )


def _whole_numbers(
    data: bytes, at: int, kind: int, count: int, word: int, little: bool
) -> list[int]:
    """Return the values of a tag. at: where they are or, if they exceed a word, their offset."""
    if kind not in _WHOLE:
        raise ValueError("offsets that are not whole numbers")
    size = _WHOLE[kind]
    if count * size > word:
        at = number(data, at, word, little)
    order = "<" if little else ">"
    values: list[int] = np.frombuffer(data, f"{order}u{size}", count, at).tolist()
    return values


def _check_scans(data: bytes, arrays: Mapping[int, list[int]]) -> None:
    """Raise TooMuch if a strip or tile, each of them a JPEG, has more scans than are allowed."""
    for starts, sizes in zip(_STARTS, _SIZES, strict=True):
        for start, size in zip(arrays.get(starts, ()), arrays.get(sizes, ()), strict=False):
            if scans(data[start : start + size], MAX_SCANS) > MAX_SCANS:
                raise TooMuch


def _needed(numbers: dict[int, int]) -> int:
    """Return how many strips or tiles the picture needs. Decoders would decode any others, too."""
    width, length = numbers.get(_WIDTH, 0), numbers.get(_LENGTH, 0)
    layers = numbers.get(_SAMPLES, 4) if numbers.get(_PLANES) == 2 else 1
    if _TILE_WIDTH in numbers and _TILE_LENGTH in numbers:
        across = -(-width // max(1, numbers[_TILE_WIDTH]))
        down = -(-length // max(1, numbers[_TILE_LENGTH]))
    else:
        across, down = 1, -(-length // max(1, numbers.get(_ROWS, length)))
    return max(1, across) * max(1, down) * min(max(1, layers), 8)
