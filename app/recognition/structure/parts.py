"""What the walks of all formats share: a bound of steps, numbers, and the orientation."""

from collections.abc import Iterator
from itertools import count

MOST_OVERLAP = 2  # times the size of the file: what all its parts together may claim to be
MOST_METADATA = 1 << 18  # bytes of Exif or XMP in which the orientation is looked for
_MOST_TAGS = 1_000
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4
_XMP_ORIENTATION = b"tiff:Orientation"


class TooMuch(Exception):
    """The file has more parts than any picture needs."""


def steps(most: int) -> Iterator[int]:
    """0, 1, 2 …; raises TooMuch after `most`."""
    for step in count():
        if step == most:
            raise TooMuch
        yield step


def number(data: bytes, at: int, length: int, little: bool = False) -> int:
    """The unsigned number of so many bytes. Raises IndexError behind the end."""
    if at < 0 or at + length > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + length], "little" if little else "big")


def exif_orientation(exif: bytes) -> int | None:
    """What Exif data say of the orientation, 1 to 8; None if they do not say it.

    exif: with or without `Exif\\0\\0` before the TIFF header.
    """
    tiff = exif[:MOST_METADATA].removeprefix(b"Exif\0\0")
    little = tiff.startswith(b"II")
    try:
        directory = number(tiff, 4, 4, little)
        tags = min(number(tiff, directory, 2, little), _MOST_TAGS)
        for at in range(directory + 2, directory + 2 + 12 * tags, 12):
            if number(tiff, at, 2, little) == _ORIENTATION:
                kind = number(tiff, at + 2, 2, little)
                value = number(tiff, at + 8, 2 if kind == _SHORT else 4, little)
                return value if kind in (_SHORT, _LONG) and 1 <= value <= 8 else None
    except IndexError:
        pass
    return None


def xmp_orientation(xmp: bytes) -> int | None:
    """What XMP data say of the orientation, 1 to 8; None if they do not say it."""
    if len(xmp) > MOST_METADATA or (at := xmp.find(_XMP_ORIENTATION)) < 0:
        return None
    rest = xmp[at + len(_XMP_ORIENTATION) :][:3]
    digit = rest[2:] if rest.startswith(b'="') else rest[1:2] if rest.startswith(b">") else b""
    return int(digit) if digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8") else None


def exif_of(orientation: int) -> bytes:
    """Exif data that say the orientation and nothing else, from the TIFF header on."""
    tag = _ORIENTATION.to_bytes(2) + b"\0\3\0\0\0\1" + orientation.to_bytes(2) + b"\0\0"
    return b"MM\0*\0\0\0\x08\0\1" + tag + bytes(4)
