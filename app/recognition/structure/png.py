"""PNG: keep the chunks with the size, colours and pixels."""

import zlib

from app.recognition.structure.parts import (
    MAX_METADATA,
    exif_of,
    exif_orientation,
    number,
    steps,
    xmp_orientation,
)

_MAX_CHUNKS = 20_000  # some writers put only 8 kB of pixels into each
_MAGIC = b"\x89PNG\r\n\x1a\n"
# Chunks to keep, and their largest sizes in bytes.
_KEPT = {b"IHDR": 64, b"PLTE": 768, b"tRNS": 256, b"IDAT": 1 << 31, b"IEND": 64}
_RAW_PROFILES = (b"Raw profile type exif\0", b"Raw profile type APP1\0")


def is_png(data: bytes) -> bool:
    return data.startswith(_MAGIC)


def bounded(data: bytes) -> bytes:
    """Return the picture without metadata other than the orientation. Raises TooMuch."""
    kept: list[list[int]] = [[0, len(_MAGIC)]]
    orientations: dict[bytes, int] = {}  # by the kind of chunk
    at = len(_MAGIC)
    for _ in steps(_MAX_CHUNKS):
        if at + 8 > len(data):
            break
        length, kind = number(data, at, 4), data[at + 4 : at + 8]
        end = min(at + 12 + length, len(data))
        if kind in _KEPT:
            if length > _KEPT[kind]:
                raise ValueError("a palette of too many colours")
            if kept[-1][1] == at:
                kept[-1][1] = end
            else:
                kept.append([at, end])
        elif (
            length <= MAX_METADATA
            and kind not in orientations
            and (orientation := _orientation(kind, data[at + 8 : end - 4]))
        ):
            orientations[kind] = orientation
        at = end
        if kind == b"IEND":
            break
    if len(kept) == 1 and kept[0][1] == at:
        return data
    view = memoryview(data)
    pieces: list[bytes | memoryview] = [view[start:end] for start, end in kept]
    kinds = (b"eXIf", b"zTXt", b"tEXt", b"iTXt")
    if upright := next((orientations[kind] for kind in kinds if kind in orientations), None):
        if kept[0][1] > 33:  # split after the header, which must come first
            pieces[:1] = [view[:33], view[33 : kept[0][1]]]
        chunk = b"eXIf" + exif_of(upright)
        size = (len(chunk) - 4).to_bytes(4)
        pieces.insert(1, size + chunk + zlib.crc32(chunk).to_bytes(4))
    return b"".join(pieces)


def _orientation(kind: bytes, body: bytes) -> int | None:
    """Return the orientation in a chunk of metadata, 1 to 8; None if there is none."""
    if kind == b"eXIf":
        return exif_orientation(body)
    if kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0\0"):
        return xmp_orientation(body)
    if kind in (b"tEXt", b"zTXt") and body.startswith(_RAW_PROFILES):
        _, _, text = body.partition(b"\0")
        if kind == b"zTXt":
            try:
                text = zlib.decompressobj().decompress(text[1:], MAX_METADATA)
            except zlib.error:
                return None
        try:
            return exif_orientation(bytes.fromhex(b"".join(text.split(b"\n", 4)[3:]).decode()))
        except ValueError:
            return None
    return None
