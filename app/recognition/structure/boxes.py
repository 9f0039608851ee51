"""AVIF and HEIF: boxes, of which those that describe are small."""

from collections.abc import Iterator

from app.recognition.structure.parts import MOST_OVERLAP, TooMuch, number, steps

_MOST_BOXES = 4_096
_MOST_DESCRIPTION = 1 << 19  # bytes of a box that describes; a phone's take 4 to 20 kB
_DESCRIBING = (b"meta", b"moov", b"moof", b"ftyp")
_MOST_PARTS = 1_024  # items that others are made of; a phone's picture has 50
_DEEPEST = 4  # a tone-mapped picture of a turned grid of tiles
_METADATA = (b"Exif", b"mime")
_IGNORED = b"free"  # a kind of item that no decoder knows


def is_boxes(data: bytes) -> bool:
    return data[4:8] == b"ftyp"


def bounded(data: bytes) -> bytes:
    """The picture, in which items of metadata are marked as unknown.

    The properties of these formats, not their Exif data, say which way up the picture is.
    """
    left = steps(_MOST_BOXES)
    marks: list[int] = []
    wholes: dict[int, int] = {}
    for kind, start, end in _boxes(data, 0, len(data), left):
        if kind in _DESCRIBING and end - start > _MOST_DESCRIPTION:
            raise TooMuch
        if kind != b"meta":
            continue
        for inner, begin, after in _boxes(data, start + 4, end, left):
            if inner == b"iinf":
                first = begin + (6 if data[begin] == 0 else 8)
                for item, at, _ in _boxes(data, first, after, left):
                    where = at + (8 if data[at] == 2 else 10)  # behind its number and protection
                    if item == b"infe" and data[where : where + 4] in _METADATA:
                        marks.append(where)
            elif inner == b"iloc" and _bytes_of_items(data, begin) > MOST_OVERLAP * len(data):
                raise TooMuch
            elif inner == b"iref":
                for reference, at, _ in _boxes(data, begin + 4, after, left):
                    if reference == b"dimg":
                        _note_parts(wholes, data, at, 4 if data[begin] else 2)
    _check_depth(wholes)
    if not marks:
        return data
    marked = bytearray(data)
    for where in marks:
        marked[where : where + 4] = _IGNORED
    return bytes(marked)


def _boxes(data: bytes, at: int, end: int, left: Iterator[int]) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, and where what it holds begins and ends."""
    while at + 8 <= end:
        next(left)
        size, kind, begin = number(data, at, 4), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, begin = number(data, begin, 8), at + 16
        after = end if size == 0 else min(end, at + size)
        if after < begin:
            raise ValueError("a box smaller than its head")
        yield kind, begin, after
        at = after


def _note_parts(wholes: dict[int, int], data: bytes, at: int, wide: int) -> None:
    """Note which item each part belongs to. Raises TooMuch if one is used twice.

    A decoder would decode it each time, and parts of parts multiply.
    """
    whole, count = number(data, at, wide), number(data, at + wide, 2)
    first = at + wide + 2
    for place in range(first, first + count * wide, wide):
        part = number(data, place, wide)
        if part in wholes or len(wholes) == _MOST_PARTS:
            raise TooMuch
        wholes[part] = whole


def _check_depth(wholes: dict[int, int]) -> None:
    """Raise TooMuch if parts are nested more deeply than cameras nest them, or in a circle."""
    for part in wholes:
        depth, item = 0, part
        while item in wholes:
            depth, item = depth + 1, wholes[item]
            if depth > _DEEPEST:
                raise TooMuch


def _bytes_of_items(data: bytes, at: int) -> int:
    """The lengths of all pieces of all items together. at: where an `iloc` begins."""
    version, widths = data[at], number(data, at + 4, 2)
    offsets, lengths, bases, indexes = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    items, at, total = number(data, at + 6, wide), at + 6 + wide, 0
    left = steps(_MOST_BOXES)
    for _ in range(items):
        at += wide + (2 if version else 0) + 2 + bases
        pieces, at = number(data, at, 2), at + 2
        for _ in range(pieces):
            next(left)
            at += (indexes if version else 0) + offsets
            total += number(data, at, lengths)
            at += lengths
        next(left)
    return total
