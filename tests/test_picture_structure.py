"""Pixels decide, not metadata: these are dropped, whatever they hold, or are too much at once."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from app.recognition import NotAnImage
from app.recognition.image import Photo
from tests.image_files import assert_similar, exif, quarters, stored
from tests.photos import GRACE_HOPPER, encoded, picture

HEIC = (Path(__file__).parent / "data" / "grace_hopper.heic").read_bytes()
PICTURE = Image.fromarray(quarters())
JPEG, PNG, GIF = (encoded(PICTURE, form) for form in ("JPEG", "PNG", "GIF"))
WEBP = encoded(PICTURE, "WEBP", lossless=True)
AVIF, TIFF = encoded(PICTURE, "AVIF"), encoded(PICTURE, "TIFF")
MANY_TAGS = b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x02\0\0\0\x0f\0\0\0\0\0" * 80_000


def chunk(kind: bytes, data: bytes, wrong: int = 0) -> bytes:
    checksum = (zlib.crc32(kind + data) + wrong) & 0xFFFFFFFF
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def segment(code: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def png(*chunks: bytes) -> bytes:
    """With more chunks after the header."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def gif(extension: bytes) -> bytes:
    colours = 3 << (GIF[10] % 8 + 1)
    return GIF[: 13 + colours] + extension + GIF[13 + colours :]


def webp(*chunks: bytes) -> bytes:
    """With more chunks after the others."""
    whole = WEBP + b"".join(chunks)
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def tiff(tag: int, kind: int, count: int, size: int) -> bytes:
    """With a tag that lies at the end of the file."""
    (where,) = struct.unpack_from("<I", TIFF, 4)
    (tags,) = struct.unpack_from("<H", TIFF, where)
    entries = [TIFF[at : at + 12] for at in range(where + 2, where + 2 + 12 * tags, 12)]
    entries = [each for each in entries if struct.unpack_from("<H", each)[0] != tag]
    entries.append(struct.pack("<HHII", tag, kind, count, len(TIFF)))
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries, key=_tag)) + bytes(4)
    at = len(TIFF) + size
    return TIFF[:4] + struct.pack("<I", at) + TIFF[8:] + bytes(size) + directory


def _tag(entry: bytes) -> int:
    (tag,) = struct.unpack_from("<H", entry)
    return int(tag)


STRIPPED: dict[str, Callable[[], bytes]] = {
    "PNG, 2 MB of text": lambda: png(chunk(b"tEXt", b"Comment\0" + b"a" * 2_000_000)),
    "PNG, text that unpacks to 40 MB": lambda: png(
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(40_000_000)))
    ),
    "PNG, a wrong checksum of text": lambda: png(chunk(b"tEXt", b"Comment\0x", wrong=1)),
    "PNG, an unknown chunk": lambda: png(chunk(b"vpAg", bytes(9))),
    "PNG, a broken colour profile": lambda: png(chunk(b"iCCP", b"x")),
    "PNG, many tags of Exif": lambda: png(chunk(b"eXIf", MANY_TAGS)),
    "PNG, 20,000 chunks": lambda: png(chunk(b"tEXt", b"a\0b") * 20_000),
    "JPEG, 200 segments of 64 kB": lambda: jpeg(segment(0xE1, b"x" * 65_000) * 200),
    "JPEG, many Exif segments": lambda: jpeg(segment(0xE1, b"Exif\0\0" + b"x" * 60) * 1_000),
    "JPEG, many tags of Exif": lambda: jpeg(segment(0xE1, b"Exif\0\0" + MANY_TAGS[:60_000])),
    "JPEG, a comment": lambda: jpeg(segment(0xFE, b"x" * 60_000)),
    "JPEG, something after its end": lambda: JPEG + JPEG + b"\xff\xda" * 1_000,
    "GIF, a long comment": lambda: gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 1_000 + b"\0"),
    "WebP, many tags of Exif": lambda: encoded(PICTURE, "WEBP", lossless=True, exif=MANY_TAGS),
    "WebP, an unknown chunk": lambda: webp(
        b"abcd" + struct.pack("<I", 9_000_000) + bytes(9_000_000)
    ),
    "AVIF, many tags of Exif": lambda: encoded(PICTURE, "AVIF", exif=b"Exif\0\0" + MANY_TAGS),
    "TIFF, 5 MB of a colour profile": lambda: tiff(34_675, 7, 5_000_000, 5_000_000),
    "TIFF, 5 MB of resolutions": lambda: tiff(282, 5, 625_000, 5_000_000),
}


@pytest.mark.parametrize("kind", STRIPPED)
def test_the_pixels_are_read_whatever_else_is_there(kind: str) -> None:
    data = STRIPPED[kind]()
    began = time.perf_counter()
    assert_similar(picture(data), quarters())
    assert time.perf_counter() - began < 1


TOO_MUCH: dict[str, Callable[[], bytes]] = {
    "JPEG, empty segments": lambda: jpeg(b"\xff\xe3\x00\x02" * 5_000_000),
    "JPEG, empty comments": lambda: jpeg(b"\xff\xfe\x00\x02" * 5_000_000),
    "JPEG, fillers": lambda: jpeg(b"\xff" * 20_000_000),
    "JPEG, tables": lambda: jpeg(segment(0xDB, bytes(65 * 1_000)) * 10),
    "PNG, empty pixels": lambda: png(chunk(b"IDAT", b"") * 100_000),
    "PNG, empty text": lambda: png(chunk(b"tEXt", b"") * 1_000_000),
    "GIF, small blocks": lambda: gif(b"!\xfe" + b"\x01a" * 10_000_000 + b"\0"),
    "WebP, empty chunks": lambda: webp(b"abcd\0\0\0\0" * 1_000_000),
    "AVIF, empty boxes": lambda: AVIF + b"\0\0\0\x08free" * 1_000_000,
    "HEIC, empty boxes": lambda: HEIC + b"\0\0\0\x08free" * 1_000_000,
    "TIFF, sample formats": lambda: tiff(339, 3, 5_000_000, 10_000_000),
    "TIFF, strips": lambda: tiff(273, 4, 2_500_000, 10_000_000),
    "TIFF, tags": lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65_535 + 4),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_too_many_pieces_are_refused_soon(kind: str) -> None:
    data = TOO_MUCH[kind]()
    began = time.perf_counter()
    with pytest.raises(NotAnImage, match="too much besides its pixels"):
        Photo(data, 50)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_stays(form: str, orientation: int) -> None:
    tags = exif(orientation)
    tags[0x010E] = "a remark " * 1_000
    data = encoded(stored(quarters(), orientation), form, exif=tags)
    assert_similar(picture(data), quarters())


def test_pixels_with_a_wrong_checksum_are_damaged() -> None:
    data = bytearray(PNG)
    data[data.index(b"IDAT") + 10] ^= 1
    with pytest.raises(NotAnImage):
        Photo(bytes(data), 50).decode()


def test_an_animated_png_shows_its_picture() -> None:
    frames = [PICTURE, Image.new("RGB", PICTURE.size, "grey")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert_similar(picture(data), quarters())


def test_what_a_phone_writes_is_read_as_it_was() -> None:
    """A colour profile in several segments, a preview in Exif, and a film after the picture."""
    file = io.BytesIO()
    Image.open(GRACE_HOPPER).save(
        file, "JPEG", quality=90, icc_profile=bytes(200_000), exif=exif(1)
    )
    plain = np.asarray(Image.open(file).convert("RGB"))
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xd8\xff\xda" * 100_000
    np.testing.assert_array_equal(Photo(file.getvalue() + film, 50).decode(), plain)


def test_text_in_a_png_is_no_limit() -> None:
    """As Pillow writes it, which by itself refuses to read more than a megabyte."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 3_000_000)
    assert_similar(picture(encoded(PICTURE, "PNG", pnginfo=text)), quarters())
