"""BMP: nothing but pixels, but Pillow is slow to unpack compressed ones."""

from app.recognition.structure.parts import TooMuch, number

_MAX_PACKED = 1 << 20  # bytes; each pair of them is a step in Python
_MAX_COLOURS = 256
_OLD_HEADER = 12  # bytes; it has neither compression nor a number of colours


def is_bmp(data: bytes) -> bool:
    return data.startswith(b"BM")


def bounded(data: bytes) -> bytes:
    """Return the same bytes. Raises TooMuch."""
    if number(data, 14, 4, little=True) > _OLD_HEADER:
        packed = number(data, 30, 4, little=True) in (1, 2)
        if packed and len(data) > _MAX_PACKED:
            raise TooMuch
        if number(data, 28, 2, little=True) <= 8 and number(data, 46, 4, True) > _MAX_COLOURS:
            raise TooMuch
    return data
