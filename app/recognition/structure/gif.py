"""GIF: drop the extensions before the first frame, except the last graphic control extension.

That one says which colour is transparent.
"""

from app.recognition.structure.parts import number, steps

_MAX_BLOCKS = 20_000  # of at most 255 bytes each
_EXTENSION, _FRAME, _CONTROL = 0x21, 0x2C, 0xF9


def is_gif(data: bytes) -> bool:
    return data.startswith((b"GIF87a", b"GIF89a"))


def bounded(data: bytes) -> bytes:
    """Return the picture without those extensions. Raises TooMuch."""
    flags = number(data, 10, 1)
    start = at = 13 + ((3 << (flags & 7) + 1) if flags & 0x80 else 0)
    control = b""
    budget = steps(_MAX_BLOCKS)
    while (kind := number(data, at, 1)) != _FRAME:
        next(budget)
        if kind != _EXTENSION:  # Pillow skips such bytes, too
            at += 1
            continue
        begin, at = at, at + 2
        while size := number(data, at, 1):
            next(budget)
            at += 1 + size
        at += 1
        if number(data, begin + 1, 1) == _CONTROL:
            control = data[begin:at]
    if at - start == len(control):
        return data
    return b"".join((data[:start], control, memoryview(data)[at:]))
