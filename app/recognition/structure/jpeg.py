"""JPEG: segments, of which those with tables and the frame stay."""

import numpy as np

from app.recognition.structure.parts import (
    TooMuch,
    exif_of,
    exif_orientation,
    number,
    steps,
    xmp_orientation,
)

MOST_SCANS = 40  # progressive pictures have about ten
_MOST_SEGMENTS = 2_000
_MOST_FILLED = 4_096  # bytes of nothing between two segments
_MOST_KEPT = 1 << 17  # bytes of tables; ordinary pictures have a thousand or two
_LEAST_BLOCK, _MOST_BLOCK = 1 << 11, 1 << 18  # bytes of pixels that are searched at a time
_ALONE = {0x01, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}  # markers without a length
_APPS, _REMARK, _SCAN, _END = range(0xE0, 0xF0), 0xFE, 0xDA, 0xD9
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def is_jpeg(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8\xff")


def bounded(data: bytes) -> bytes:
    """The picture without its metadata, except for the orientation and what says its colours."""
    kept: list[bytes] = []
    orientation = from_xmp = None
    size, at, whole = 0, 2, True
    for _ in steps(_MOST_SEGMENTS):
        marker, start = _next(data, at)
        code = data[marker]
        whole = whole and start == at
        if code == _SCAN:
            break
        if code in _ALONE:
            at, segment = marker + 1, data[marker - 1 : marker + 1]
        else:
            at = marker + 1 + max(2, number(data, marker + 1, 2))
            if at > len(data):
                raise ValueError("a segment that is cut off")
            segment = data[marker - 1 : at]
        body = segment[4:]
        if code == _EXIF and body.startswith(b"Exif\0\0") and orientation is None:
            orientation = exif_orientation(body)
        elif code == _EXIF and body.startswith(_XMP):
            from_xmp = xmp_orientation(body)
        if (code in _APPS or code == _REMARK) and not _says_colours(code, body):
            whole = False
            continue
        if (size := size + len(segment)) > _MOST_KEPT:
            raise TooMuch
        kept.append(segment)
    if whole:
        return data
    if upright := orientation or from_xmp:
        exif = b"Exif\0\0" + exif_of(upright)
        kept.insert(0, b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif)
    return b"".join((data[:2], *kept, memoryview(data)[marker - 1 :]))


def scans(data: bytes, most: int) -> int:
    """How many scans a JPEG has; from `most` + 1 on they are not counted.

    Every scan goes over all pixels, and one that changes none takes a few bytes.
    """
    if (count := data.count(b"\xff\xda")) <= min(most, 1):
        return count
    view = np.frombuffer(data, np.uint8)
    count, at = 0, 2
    for _ in range(2 * _MOST_SEGMENTS):
        marker = _marker(view, at)
        if marker is None or data[marker] == _END or count > most:
            return count
        count += data[marker] == _SCAN
        at = marker + 1 + int.from_bytes(data[marker + 1 : marker + 3])
    return most + 1  # more segments than forty scans need


def _says_colours(code: int, body: bytes) -> bool:
    return (code == _JFIF and body.startswith(b"JFIF\0")) or (
        code == _ADOBE and body.startswith(b"Adobe")
    )


def _next(data: bytes, at: int) -> tuple[int, int]:
    """Where the next marker's code is, and where its 0xFF is, before the scan."""
    for _ in steps(_MOST_FILLED):
        start = data.index(b"\xff", at)
        code = data[start + 1]
        if code not in (0, 0xFF):
            return start + 1, start
        at = start + 1
    raise TooMuch


def _marker(view: np.ndarray, at: int) -> int | None:
    """Where the next marker's code is in a scan, in which 0 follows 0xFF, or a restart."""
    start, length = at, _LEAST_BLOCK
    while start < len(view) - 1:
        block = view[start : start + length + 1]
        after = np.flatnonzero(block[:-1] == 0xFF) + 1
        codes = block[after]
        found = after[(codes > 1) & (codes < 0xFF) & ((codes < 0xD0) | (codes > 0xD8))]
        if len(found):
            return start + int(found[0])
        start, length = start + length, min(2 * length, _MOST_BLOCK)
    return None
