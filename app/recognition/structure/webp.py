"""WebP: keep the chunks of the first frame."""

from app.recognition.structure.parts import (
    MAX_METADATA,
    exif_of,
    exif_orientation,
    number,
    steps,
    xmp_orientation,
)

_MAX_CHUNKS = 20_000
_PIXELS = (b"VP8 ", b"VP8L", b"ALPH")
_HEADERS = {b"VP8X": 64, b"ANIM": 64}  # chunks, and their largest sizes in bytes
_FRAME, _FRAME_HEADER = b"ANMF", 16  # chunk of a frame, and the bytes of its header
_HAS_EXIF, _HAS_ICC, _HAS_XMP = 0x08, 0x20, 0x04  # flags of VP8X


def is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def bounded(data: bytes) -> bytes:
    """Return the first frame, with the orientation. Raises TooMuch."""
    kept: list[bytes] = []
    orientation = from_xmp = None
    framed = dropped = False
    end = min(len(data), 8 + number(data, 4, 4, little=True))
    for kind, start, after in _chunks(data, 12, end):
        if kind in _PIXELS or (kind in _HEADERS and after - start <= 8 + _HEADERS[kind]):
            kept.append(data[start:after])
            continue
        if kind == _FRAME and not framed:
            framed = True
            kept.append(_frame(data, start, after))
            dropped = dropped or len(kept[-1]) != after - start
            continue
        dropped = True
        body = data[start + 8 : min(after, start + 8 + MAX_METADATA)]
        if kind == b"EXIF":
            orientation = orientation or exif_orientation(body)
        elif kind == b"XMP ":
            from_xmp = from_xmp or xmp_orientation(body)
    if not dropped:
        return data
    upright = orientation or from_xmp
    if kept and kept[0].startswith(b"VP8X"):
        flags = kept[0][8] & ~(_HAS_EXIF | _HAS_ICC | _HAS_XMP)
        flags |= _HAS_EXIF if upright else 0
        kept[0] = kept[0][:8] + bytes([flags]) + kept[0][9:]
        if upright:
            exif = exif_of(upright)
            kept.append(b"EXIF" + len(exif).to_bytes(4, "little") + exif)
    size = 4 + sum(map(len, kept))
    if end < 8 + number(data, 4, 4, little=True):  # a file that was cut off stays so
        size += 2
    return b"".join((b"RIFF", size.to_bytes(4, "little"), b"WEBP", *kept))


def _chunks(data: bytes, at: int, end: int) -> list[tuple[bytes, int, int]]:
    """Return the kind, start and end of each chunk, with its header and padding."""
    chunks = []
    for _ in steps(_MAX_CHUNKS):
        if at + 8 > end:
            break
        length = number(data, at + 4, 4, little=True)
        after = min(end, at + 8 + length + length % 2)
        chunks.append((data[at : at + 4], at, after))
        at = after
    return chunks


def _frame(data: bytes, start: int, after: int) -> bytes:
    """Return the chunk of an animation's frame with nothing but pixels."""
    inner = _chunks(data, start + 8 + _FRAME_HEADER, after)
    pixels = [data[begin:end] for kind, begin, end in inner if kind in _PIXELS]
    size = _FRAME_HEADER + sum(map(len, pixels))
    head = data[start + 8 : start + 8 + _FRAME_HEADER]
    return b"".join((_FRAME, size.to_bytes(4, "little"), head, *pixels))
