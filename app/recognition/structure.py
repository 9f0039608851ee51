"""What a picture holds in addition to its pixels is dropped before a decoder sees it.

Decoders spend time and memory on metadata as their sender likes: millions of empty segments, tags
of megabytes, bombs of compressed text. Here only sizes are read, in a bounded number of steps. Of
metadata the orientation stays.
"""

import struct
import zlib
from collections.abc import Iterator

from app.recognition import NotAnImage
from app.recognition.exif import orientation, orientation_alone
from app.recognition.tiff import pixels_of_tiff

_MOST_PIECES = 100_000  # chunks, blocks or frames; a PNG of 50 MB has 6,000
_MOST_SEGMENTS = 2_000  # of a JPEG before its pixels
_MOST_TABLES = 256 << 10  # bytes of a JPEG's tables before its pixels; photos have about 1 kB
_MOST_DESCRIBED = 1 << 20  # bytes that describe the items of an AVIF or HEIC
_PNG_OF_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_EXIF, _ADOBE, _JFIF, _COMMENT, _SCAN, _END = 0xE1, 0xEE, 0xE0, 0xFE, 0xDA, b"\xff\xd9"


def pixels_alone(data: bytes) -> bytes:
    """The picture without what its pixels do not need; what is no picture, as it is.

    Raises NotAnImage if it is made of more pieces than pictures are.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return pixels_of_tiff(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _gif(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data[4:8] == b"ftyp":
        return _avif_or_heic(data)
    return data


def too_much() -> NotAnImage:
    """What is raised for a picture of too many pieces."""
    return NotAnImage("the picture holds too much besides its pixels")


def _jpeg(data: bytes) -> bytes:
    """The tables, the first orientation, and the scans up to the first end.

    What follows the first scan is read by libjpeg, in C; only its scans cost much.
    """
    view = memoryview(data)
    kept: list[bytes | memoryview] = [b"\xff\xd8"]
    tables, turned = 0, False
    for code, start, end in _segments(data):
        if code == _SCAN:
            last = data.find(_END, start)
            kept.append(view[start : last + 2 if last > 0 else len(data)])
            break
        if code == _EXIF and not turned and data.startswith(b"Exif\0\0", start + 4):
            turned = True
            exif = b"Exif\0\0" + orientation_alone(orientation(data[start + 10 : end]))
            kept.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
        elif 0xE0 <= code <= 0xEF or code == _COMMENT:
            # these two tell libjpeg what the colours are
            if code in (_JFIF, _ADOBE) and end - start < 64:
                kept.append(view[start:end])
        else:
            kept.append(view[start:end])
            tables += end - start
            if tables > _MOST_TABLES:
                raise too_much()
    return b"".join(kept)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Code, start and end of each segment; of a scan, the end of its header."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        if data[at + 1] == 0xFF:  # a filler
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield data[at + 1], at, end
        at = end
    raise too_much()


def _png(data: bytes) -> bytes:
    view = memoryview(data)
    kept: list[bytes | memoryview] = [view[:8]]
    at = 8
    for _ in range(_MOST_PIECES):
        kind = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if kind in _PNG_OF_PIXELS:
            kept.append(view[at:end])
        elif kind == b"eXIf":
            kept.append(_chunk(kind, orientation_alone(orientation(data[at + 8 : end - 4]))))
        at = end
        if kind == b"IEND" or at >= len(data):
            return b"".join(kept)
    raise too_much()


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _gif(data: bytes) -> bytes:
    """The first frame."""
    view = memoryview(data)
    at = 13 + _colours(data, 10)
    kept = [view[:at]]
    for _ in range(_MOST_PIECES):
        kind = data[at : at + 1]
        if kind == b",":  # the frame: its place, colours, and the size of its codes
            end = _after_blocks(data, at + 11 + _colours(data, at + 9))
            return b"".join((*kept, view[at:end], b";"))
        if kind != b"!":
            break
        end = _after_blocks(data, at + 2)
        if data[at + 1 : at + 2] == b"\xf9":  # says what is transparent
            kept = [*kept[:1], view[at:end]]
        at = end
    return data if at >= len(data) else b"".join(kept)


def _colours(data: bytes, at: int) -> int:
    """How many bytes the table of colours takes that the flags at this place tell of."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Where the blocks end that begin here."""
    for _ in range(4 * _MOST_PIECES):
        if at >= len(data) or not data[at]:
            return at + 1
        at += data[at] + 1
    raise too_much()


def _webp(data: bytes) -> bytes:
    """The same, its Exif replaced by the orientation, and other metadata under no known name."""
    picture, at = bytearray(data), 12
    for _ in range(_MOST_PIECES):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        start, end = at + 8, at + 8 + size
        if kind == b"EXIF":
            exif = data[start:end].removeprefix(b"Exif\0\0")
            alone = orientation_alone(orientation(exif))
            if len(alone) <= end - start <= len(data) - start:
                picture[start:end] = alone + bytes(size - len(alone))
            else:
                picture[at : at + 4] = b"none"
        elif kind in (b"ICCP", b"XMP "):
            picture[at : at + 4] = b"none"
        at = end + size % 2
        if at >= len(data):
            return bytes(picture)
    raise too_much()


def _avif_or_heic(data: bytes) -> bytes:
    """The same without Exif: its orientation is in the boxes, too (ISO/IEC 23008-12)."""
    at = 0
    for _ in range(_MOST_PIECES):
        size, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        end = at + size if size else len(data)
        if kind == b"meta":
            if end - at > _MOST_DESCRIBED:
                raise too_much()
            described = data[at:end].replace(b"Exif", b"none").replace(b"mime", b"none")
            data = b"".join((data[:at], described, data[end:]))
        at = max(end, at + head)
        if at >= len(data):
            return data
    raise too_much()
