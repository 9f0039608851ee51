"""Shared by the walks of all formats: bounded steps, numbers, and the orientation."""

from collections.abc import Iterator
from itertools import count

# All parts of a file together may claim at most this many times its size.
MAX_OVERLAP = 2
MAX_METADATA = 1 << 18  # bytes of Exif or XMP data searched for the orientation
_MAX_TAGS = 1_000
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4
_XMP_ORIENTATION = b"tiff:Orientation"


class TooMuch(Exception):
    """The file has more parts than any picture needs."""


def steps(limit: int) -> Iterator[int]:
    """Yield 0, 1, 2 …; raise TooMuch after `limit` steps."""
    for step in count():
        if step == limit:
            raise TooMuch
        yield step


def number(data: bytes, at: int, length: int, little: bool = False) -> int:
    """Return the unsigned number in so many bytes. Raises IndexError beyond the end."""
    if at < 0 or at + length > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + length], "little" if little else "big")


def exif_orientation(exif: bytes) -> int | None:
    """Return the orientation in Exif data, 1 to 8; None if there is none.

    exif: with or without `Exif\\0\\0` before the TIFF header.
    """
    tiff = exif[:MAX_METADATA].removeprefix(b"Exif\0\0")
    little = tiff.startswith(b"II")
    try:
        directory = number(tiff, 4, 4, little)
        tags = min(number(tiff, directory, 2, little), _MAX_TAGS)
        for at in range(directory + 2, directory + 2 + 12 * tags, 12):
            if number(tiff, at, 2, little) == _ORIENTATION:
                kind = number(tiff, at + 2, 2, little)
                value = number(tiff, at + 8, 2 if kind == _SHORT else 4, little)
                return value if kind in (_SHORT, _LONG) and 1 <= value <= 8 else None
    except IndexError:
        pass
    return None


def xmp_orientation(xmp: bytes) -> int | None:
    """Return the orientation in XMP data, 1 to 8; None if there is none."""
    if len(xmp) > MAX_METADATA or (at := xmp.find(_XMP_ORIENTATION)) < 0:
        return None
    rest = xmp[at + len(_XMP_ORIENTATION) :][:3]
    digit = rest[2:] if rest.startswith(b'="') else rest[1:2] if rest.startswith(b">") else b""
    return int(digit) if digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8") else None


def exif_of(orientation: int) -> bytes:
    """Return Exif data with nothing but an orientation, from the TIFF header on."""
    tag = _ORIENTATION.to_bytes(2) + b"\0\3\0\0\0\1" + orientation.to_bytes(2) + b"\0\0"
    return b"MM\0*\0\0\0\x08\0\1" + tag + bytes(4)
