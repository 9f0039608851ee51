"""BMP: has nothing besides pixels; those that are packed are unpacked slowly."""

from app.recognition.structure.parts import TooMuch, number

_MOST_PACKED = 1 << 20  # bytes: each pair of them is a step in Python
_MOST_COLOURS = 256
_OLD_HEADER = 12


def is_bmp(data: bytes) -> bool:
    return data.startswith(b"BM")


def bounded(data: bytes) -> bytes:
    """The same bytes."""
    if number(data, 14, 4, little=True) > _OLD_HEADER:
        packed = number(data, 30, 4, little=True) in (1, 2)
        if packed and len(data) > _MOST_PACKED:
            raise TooMuch
        if number(data, 28, 2, little=True) <= 8 and number(data, 46, 4, True) > _MOST_COLOURS:
            raise TooMuch
    return data
