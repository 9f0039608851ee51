"""The orientation in Exif data, and nothing else of it."""

import struct

_ORIENTATION, _SHORT = 0x0112, 3
_MOST_TAGS = 1_000


def orientation(exif: bytes) -> int:
    """1 to 8, as Exif says how the picture is turned; 1 if it does not say.

    exif: TIFF data, from their byte order on.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    (at,) = struct.unpack_from(f"{order}I", exif, 4)
    if at + 2 > len(exif):
        return 1
    (tags,) = struct.unpack_from(f"{order}H", exif, at)
    for entry in range(at + 2, min(at + 2 + 12 * min(tags, _MOST_TAGS), len(exif) - 11), 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
        if (tag, kind) == (_ORIENTATION, _SHORT):
            return int(value) if 1 <= value <= 8 else 1
    return 1


def orientation_alone(value: int) -> bytes:
    """Exif data that hold this orientation and nothing else."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, _ORIENTATION, _SHORT, 1, value, 0, 0)
