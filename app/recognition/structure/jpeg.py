"""JPEG: keep the segments with the tables and the frame."""

import numpy as np

from app.recognition.structure.parts import (
    TooMuch,
    exif_of,
    exif_orientation,
    number,
    steps,
    xmp_orientation,
)

MAX_SCANS = 40  # progressive pictures have about ten
_MAX_SEGMENTS = 2_000
_MAX_PADDING = 4_096  # bytes between two segments
_MAX_KEPT = 1 << 17  # bytes of tables; ordinary pictures have one or two thousand
_MIN_BLOCK, _MAX_BLOCK = 1 << 11, 1 << 18  # bytes of pixels searched at a time
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}  # markers
_APPS, _COMMENT, _SCAN, _END = range(0xE0, 0xF0), 0xFE, 0xDA, 0xD9
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def is_jpeg(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8\xff")


def bounded(data: bytes) -> bytes:
    """Return the picture without metadata other than orientation and colours. Raises TooMuch."""
    kept: list[bytes] = []
    orientation = from_xmp = None
    size, at, unchanged = 0, 2, True
    for _ in steps(_MAX_SEGMENTS):
        marker, start = _next_marker(data, at)
        code = data[marker]
        unchanged = unchanged and start == at
        if code == _SCAN:
            break
        if code in _WITHOUT_LENGTH:
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
        if (code in _APPS or code == _COMMENT) and not _defines_colours(code, body):
            unchanged = False
            continue
        if (size := size + len(segment)) > _MAX_KEPT:
            raise TooMuch
        kept.append(segment)
    if unchanged:
        return data
    if upright := orientation or from_xmp:
        exif = b"Exif\0\0" + exif_of(upright)
        kept.insert(0, b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif)
    return b"".join((data[:2], *kept, memoryview(data)[marker - 1 :]))


def scans(data: bytes, limit: int) -> int:
    """Return how many scans a JPEG has, or `limit` + 1 if it has more than `limit`.

    A decoder goes over all pixels for each scan, and a scan that changes none takes a few bytes.
    """
    if (count := data.count(b"\xff\xda")) <= min(limit, 1):
        return count
    view = np.frombuffer(data, np.uint8)
    count, at = 0, 2
    for _ in range(2 * _MAX_SEGMENTS):
        marker = _marker_in_scan(view, at)
        if marker is None or data[marker] == _END or count > limit:
            return count
        count += data[marker] == _SCAN
        at = marker + 1 + int.from_bytes(data[marker + 1 : marker + 3])
    return limit + 1  # it has more segments than so many scans need


def _defines_colours(code: int, body: bytes) -> bool:
    return (code == _JFIF and body.startswith(b"JFIF\0")) or (
        code == _ADOBE and body.startswith(b"Adobe")
    )


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return where the code and the 0xFF of the next marker are, before the first scan."""
    for _ in steps(_MAX_PADDING):
        start = data.index(b"\xff", at)
        code = data[start + 1]
        if code not in (0, 0xFF):
            return start + 1, start
        at = start + 1
    raise TooMuch


def _marker_in_scan(view: np.ndarray, at: int) -> int | None:
    """Return where the code of the next marker is, in or after a scan.

    Within a scan, an 0xFF is followed by 0 or is a restart marker; neither counts.
    """
    start, length = at, _MIN_BLOCK
    while start < len(view) - 1:
        block = view[start : start + length + 1]
        after = np.flatnonzero(block[:-1] == 0xFF) + 1
        codes = block[after]
        markers = after[(codes > 1) & (codes < 0xFF) & ((codes < 0xD0) | (codes > 0xD8))]
        if len(markers):
            return start + int(markers[0])
        start, length = start + length, min(2 * length, _MAX_BLOCK)
    return None
