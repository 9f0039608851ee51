"""GIF: extensions before the first picture, of which the last that says what is clear stays."""

from app.recognition.structure.parts import number, steps

_MOST_BLOCKS = 20_000  # of at most 255 bytes each
_EXTENSION, _PICTURE, _CONTROL = 0x21, 0x2C, 0xF9


def is_gif(data: bytes) -> bool:
    return data.startswith((b"GIF87a", b"GIF89a"))


def bounded(data: bytes) -> bytes:
    """The picture without what comes before its first frame and is no pixel."""
    flags = number(data, 10, 1)
    start = at = 13 + ((3 << (flags & 7) + 1) if flags & 0x80 else 0)
    control = b""
    left = steps(_MOST_BLOCKS)
    while (kind := number(data, at, 1)) != _PICTURE:
        next(left)
        if kind != _EXTENSION:  # as Pillow passes over it
            at += 1
            continue
        begin, at = at, at + 2
        while size := number(data, at, 1):
            next(left)
            at += 1 + size
        at += 1
        if number(data, begin + 1, 1) == _CONTROL:
            control = data[begin:at]
    if at - start == len(control):
        return data
    return b"".join((data[:start], control, memoryview(data)[at:]))
