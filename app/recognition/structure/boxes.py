"""AVIF and HEIF: boxes. Those that describe the picture must be small."""

from collections.abc import Iterator

from app.recognition.structure.parts import MAX_OVERLAP, TooMuch, number, steps

_MAX_BOXES = 4_096
_MAX_DESCRIPTION = 1 << 19  # bytes of a descriptive box; those of phones take 4 to 20 kB
_DESCRIBING = (b"meta", b"moov", b"moof", b"ftyp")
_MAX_PARTS = 1_024  # items that others are made of; a phone's picture has 50
_MAX_DEPTH = 4  # of a tone-mapped picture made of a rotated grid of tiles
_METADATA = (b"Exif", b"mime")
_IGNORED = b"free"  # as the kind of an item, unknown to decoders


def is_boxes(data: bytes) -> bool:
    return data[4:8] == b"ftyp"


def bounded(data: bytes) -> bytes:
    """Return the picture with its metadata items marked as unknown. Raises TooMuch.

    No orientation is lost: in these formats it is a property of the picture, not Exif data.
    """
    budget = steps(_MAX_BOXES)
    marks: list[int] = []
    wholes: dict[int, int] = {}  # part → the item that it is a part of
    for kind, start, end in _boxes(data, 0, len(data), budget):
        if kind in _DESCRIBING and end - start > _MAX_DESCRIPTION:
            raise TooMuch
        if kind != b"meta":
            continue
        for inner, begin, after in _boxes(data, start + 4, end, budget):
            if inner == b"iinf":
                first = begin + (6 if data[begin] == 0 else 8)
                for item, at, _ in _boxes(data, first, after, budget):
                    where = at + (8 if data[at] == 2 else 10)  # after its number and protection
                    if item == b"infe" and data[where : where + 4] in _METADATA:
                        marks.append(where)
            elif inner == b"iloc" and _bytes_of_items(data, begin) > MAX_OVERLAP * len(data):
                raise TooMuch
            elif inner == b"iref":
                for reference, at, _ in _boxes(data, begin + 4, after, budget):
                    if reference == b"dimg":
                        _note_parts(wholes, data, at, 4 if data[begin] else 2)
    _check_depth(wholes)
    if not marks:
        return data
    marked = bytearray(data)
    for where in marks:
        marked[where : where + 4] = _IGNORED
    return bytes(marked)


def _boxes(
    data: bytes, at: int, end: int, budget: Iterator[int]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box, and where its content begins and ends."""
    while at + 8 <= end:
        next(budget)
        size, kind, begin = number(data, at, 4), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, begin = number(data, begin, 8), at + 16
        after = end if size == 0 else min(end, at + size)
        if after < begin:
            raise ValueError("a box smaller than its header")
        yield kind, begin, after
        at = after


def _note_parts(wholes: dict[int, int], data: bytes, at: int, width: int) -> None:
    """Note which item each part belongs to. Raises TooMuch if a part is used twice.

    A decoder would decode it each time, and nesting multiplies this.
    """
    whole, count = number(data, at, width), number(data, at + width, 2)
    first = at + width + 2
    for position in range(first, first + count * width, width):
        part = number(data, position, width)
        if part in wholes or len(wholes) == _MAX_PARTS:
            raise TooMuch
        wholes[part] = whole


def _check_depth(wholes: dict[int, int]) -> None:
    """Raise TooMuch if parts are nested more deeply than cameras nest them, or in a cycle."""
    for part in wholes:
        depth, item = 0, part
        while item in wholes:
            depth, item = depth + 1, wholes[item]
            if depth > _MAX_DEPTH:
                raise TooMuch


def _bytes_of_items(data: bytes, at: int) -> int:
    """Return the total length of all pieces of all items. at: where the `iloc` content begins."""
    version, widths = data[at], number(data, at + 4, 2)
    offsets, lengths, bases, indexes = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    width = 4 if version == 2 else 2
    items, at, total = number(data, at + 6, width), at + 6 + width, 0
    budget = steps(_MAX_BOXES)
    for _ in range(items):
        at += width + (2 if version else 0) + 2 + bases
        pieces, at = number(data, at, 2), at + 2
        for _ in range(pieces):
            next(budget)
            at += (indexes if version else 0) + offsets
            total += number(data, at, lengths)
            at += lengths
        next(budget)
    return total
