"""The tags of a TIFF: those that its pixels need, in sizes that pixels need."""

import struct
from dataclasses import dataclass

from app.recognition import NotAnImage

_MOST_TAGS = 500
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 13: 4}  # of a value, by its kind
_OPAQUE = 7
# Bytes that a tag may take: where strips and tiles lie and how long they are; colours; tables.
_MOST_BYTES = {273: 2 << 20, 279: 2 << 20, 324: 2 << 20, 325: 2 << 20, 320: 400_000, 347: 65_536}
_MOST_OF_OTHERS = 1_024
_NEEDED = {
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320),
    *(322, 323, 324, 325, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written in a TIFF, and in a BigTIFF."""

    order: str
    big: bool

    @property
    def tag(self) -> str:
        """Tag, kind, count, and the value or where it lies."""
        return self.order + ("HHQQ" if self.big else "HHII")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")


def pixels_of_tiff(data: bytes) -> bytes:
    """The first picture of a TIFF; every tag but those of its pixels is made an empty one.

    Raises NotAnImage if a tag that pixels need is larger than they need it.
    """
    layout = _Layout("<" if data[:2] == b"II" else ">", big=b"+" in data[2:4])
    picture = bytearray(data)
    try:
        (where,) = struct.unpack_from(layout.offset, data, 8 if layout.big else 4)
        (tags,) = struct.unpack_from(layout.count, data, where)
        first, length = where + struct.calcsize(layout.count), struct.calcsize(layout.tag)
        if tags > _MOST_TAGS:
            raise NotAnImage("the picture holds too much besides its pixels")
        for at in range(first, first + tags * length, length):
            tag, kind, count, _ = struct.unpack_from(layout.tag, data, at)
            if tag not in _NEEDED:
                struct.pack_into(layout.tag, picture, at, tag, _OPAQUE, 1, 0)
            elif count * _SIZES.get(kind, 8) > _MOST_BYTES.get(tag, _MOST_OF_OTHERS):
                raise NotAnImage("the picture holds too much besides its pixels")
        struct.pack_into(layout.offset, picture, first + tags * length, 0)
    except struct.error:
        raise NotAnImage("the picture is damaged or cut off") from None
    return bytes(picture)
