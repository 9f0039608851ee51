"""A picture holds little besides its pixels when a decoder sees it."""

import random
import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from app.recognition import NotAnImage, UnusableImage
from app.recognition.image import Photo
from app.recognition.structure import bounded
from testbed.photos import encoded, picture
from tests.support.hostile_files import jpeg_of_many_scans
from tests.support.image_files import assert_similar, exif, quarters, stored

MB = 1 << 20
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'


def jpeg_with(*pieces: bytes, **options: object) -> bytes:
    data = encoded(quarters(), "JPEG", **options)
    return data[:2] + b"".join(pieces) + data[2:]


def between_scans(piece: bytes) -> bytes:
    data = encoded(quarters(), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + piece + data[at:]


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(body) + 2).to_bytes(2) + body


def chunk(kind: bytes, body: bytes = b"", off: int = 0) -> bytes:
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body) ^ off)
    )


def png_with(piece: bytes, at: int = 33) -> bytes:
    data = encoded(quarters(), "PNG")
    return data[:at] + piece + data[at:]


def tiff(tags: dict[int, tuple[int, int, int]], more: bytes = b"", big: bool = False) -> bytes:
    """48×32 grey pixels in one strip. tags: kind, count and value, or where it is."""
    start = 16 if big else 8
    pixels = quarters()[:, :, 0].tobytes()
    every = {256: (4, 1, 48), 257: (4, 1, 32), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    every |= {273: (4, 1, start), 277: (3, 1, 1), 278: (4, 1, 32), 279: (4, 1, len(pixels))}
    every |= tags
    entry, word, head = ("<HHQQ", "<Q", "<Q") if big else ("<HHII", "<I", "<H")
    directory = start + len(pixels) + len(more)
    magic = b"II+\0\x08\0\0\0" if big else b"II*\0"
    names = b"".join(struct.pack(entry, tag, *every[tag]) for tag in sorted(every))
    return b"".join(
        (magic, struct.pack(word, directory), pixels, more, struct.pack(head, len(every)), names)
    ) + struct.pack(word, directory)  # and then itself again


def gif_with(piece: bytes) -> bytes:
    data = encoded(Image.fromarray(quarters()).quantize(), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + piece + data[at:]


def webp_with(piece: bytes) -> bytes:
    data = encoded(quarters(), "WEBP", exif=exif(1))
    return b"RIFF" + (len(data) - 8 + len(piece)).to_bytes(4, "little") + data[8:] + piece


def avif_with(piece: bytes, form: str = "AVIF") -> bytes:
    data = encoded(quarters(), form)
    return data + piece


def box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4) + kind + body


def scattered(big: bool) -> bytes:
    """Strips of nearly all rows, thirty thousand of them."""
    more = struct.pack("<30000I", *[8] * 30_000)
    at = (16 if big else 8) + 48 * 32
    return tiff({278: (4, 1, 31), 273: (4, 30_000, at), 279: (4, 30_000, at)}, more, big)


def strips_of_the_same_bytes() -> bytes:
    at, sizes = 8 + 48 * 32, struct.pack("<32I", *[MB] * 32)
    more = struct.pack("<32I", *[8] * 32) + sizes + bytes(MB)
    return tiff({278: (4, 1, 1), 273: (4, 32, at), 279: (4, 32, at + len(sizes))}, more)


def jpeg_of_many_scans_in_a_tiff() -> bytes:
    jpeg = jpeg_of_many_scans(95, 32)
    return tiff({259: (3, 1, 7), 273: (4, 1, 8 + 48 * 32), 279: (4, 1, len(jpeg))}, jpeg)


def made_of(parts: dict[int, list[int]]) -> bytes:
    """A HEIF file without pixels. parts: the items that each item is made of."""
    references = b"".join(
        box(b"dimg", struct.pack(f">HH{len(some)}H", whole, len(some), *some))
        for whole, some in parts.items()
    )
    inner = box(b"iref", bytes(4) + references)
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", bytes(4) + inner)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "JPEG, empty segments": lambda: jpeg_with(b"\xff\xe3\0\2" * (8 * MB)),
    "JPEG, empty remarks": lambda: jpeg_with(b"\xff\xfe\0\2" * (8 * MB)),
    "JPEG, Exif": lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + bytes(10)) * MB),
    "JPEG, filled": lambda: jpeg_with(b"\xff" * (32 * MB)),
    "JPEG, junk of escapes": lambda: jpeg_with(b"\xff\0" * (16 * MB)),
    "JPEG, starts": lambda: jpeg_with(b"\xff\xd8" * (16 * MB)),
    "JPEG, small Huffman tables": lambda: jpeg_with(segment(0xC4, bytes(17)) * MB),
    "JPEG, quantisation": lambda: jpeg_with(segment(0xDB, (b"\0" + b"\1" * 64) * 900) * 500),
    "JPEG, segments between scans": lambda: between_scans(b"\xff\xe3\0\2" * (8 * MB)),
    "PNG, empty pixels": lambda: png_with(chunk(b"IDAT") * 100_000),
    "PNG, empty texts": lambda: png_with(chunk(b"tEXt") * (3 * MB)),
    "GIF, remarks": lambda: gif_with(b"!\xfe" + b"\1x" * (16 * MB) + b"\0"),
    "GIF, empty extensions": lambda: gif_with(b"!\xff\0" * (10 * MB)),
    "GIF, junk": lambda: gif_with(b"x" * (32 * MB)),
    "WebP, chunks": lambda: webp_with(b"XXXX\0\0\0\0" * (4 * MB)),
    "AVIF, boxes": lambda: avif_with(box(b"free") * (4 * MB)),
    "AVIF, a large description": lambda: avif_with(box(b"meta", bytes(32 * MB))),
    "TIFF, strips of nearly all": lambda: scattered(big=False),
    "BigTIFF, strips of nearly all": lambda: scattered(big=True),
    "TIFF, strips of the same bytes": strips_of_the_same_bytes,
    "TIFF, a JPEG of many scans": jpeg_of_many_scans_in_a_tiff,
    "TIFF, samples": lambda: tiff({339: (3, 10 * MB, 8)}, bytes(20 * MB)),
    "TIFF, colours": lambda: tiff({320: (3, 10 * MB, 8)}, bytes(20 * MB)),
    "BigTIFF, samples": lambda: tiff({339: (3, 10 * MB, 8)}, bytes(20 * MB), big=True),
    "BMP, packed": lambda: (
        b"BM"
        + struct.pack("<IIIIiiHHII", 0, 0, 54, 40, 8000, 6000, 1, 8, 1, 0)
        + b"\1\0" * (8 * MB)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_holds_too_much_is_refused_at_once(name: str) -> None:
    data = HOSTILE[name]()
    started = time.process_time()
    with pytest.raises((NotAnImage, UnusableImage)) as refused:
        Photo(data, 50).decode(480)
    assert time.process_time() - started < 1
    assert 10 < len(str(refused.value)) < 100


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({9: [1, 1]}, id="one twice"),
        pytest.param({9: [7, 8], 7: [1, 2], 8: [1, 2]}, id="shared"),
        pytest.param({1: [2], 2: [1]}, id="in a circle"),
        pytest.param({n: [n + 1] for n in range(9)}, id="deep"),
        pytest.param({5_000: list(range(2_000))}, id="very many"),
    ],
)
def test_a_picture_that_uses_a_part_twice_is_refused(parts: dict[int, list[int]]) -> None:
    with pytest.raises(NotAnImage, match="too much"):
        bounded(made_of(parts))


def test_a_phone_picture_of_tiles_and_a_tone_map_is_accepted() -> None:
    """As phones write it, turned, and each of a grid's tiles for itself."""
    data = made_of({1: [2, 3], 2: [4], 4: list(range(10, 790)), 3: [5, 6, 7, 8]})
    assert bounded(data) is data


ORDINARY: dict[str, Callable[[], bytes]] = {
    "JPEG, large profile": lambda: jpeg_with(
        *(segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 9)) + bytes(60_000)) for n in range(1, 10))
    ),
    "JPEG, a large preview in its Exif": lambda: jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(1).tobytes() + bytes(60_000))
    ),
    "JPEG, a depth map in extended XMP": lambda: jpeg_with(segment(0xE1, bytes(65_000)) * 160),
    "JPEG, a film behind it": lambda: jpeg_with() + b"\xff\xda\0\4\xff\xd8" * MB,
    "JPEG, remark between scans": lambda: between_scans(segment(0xFE, b"\xff\xda" * 9_000)),
    "JPEG, filled a little": lambda: jpeg_with(b"\xff" * 99),
    "PNG, megabytes of text": lambda: png_with(chunk(b"tEXt", b"Comment\0" + b"a" * (2 * MB))),
    "PNG, a bomb of text": lambda: png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MB)))),
    "PNG, a wrong sum of a text": lambda: png_with(chunk(b"tEXt", b"a\0b", off=1)),
    "PNG, a wrong sum of a gamma": lambda: png_with(chunk(b"gAMA", b"", off=1)),
    "PNG, pixels in small chunks": lambda: png_with(chunk(b"IDAT") * 9_000),
    "GIF, a long remark": lambda: gif_with(b"!\xfe" + (b"\xff" + b"x" * 255) * 99 + b"\0"),
    "WebP, unknown chunks": lambda: webp_with(b"XXXX\2\0\0\0ab" * 99),
    "AVIF, boxes behind it": lambda: avif_with(box(b"free", bytes(MB))),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_cameras_and_editors_write_costs_no_picture(name: str) -> None:
    assert_similar(picture(ORDINARY[name]()), quarters())


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_keeps_the_tags_of_its_pixels(big: bool) -> None:
    """One of twenty megabytes goes, and so does a directory that follows itself."""
    data = tiff({282: (5, 2 * MB, 8), 330: (4, 1, 8), 34665: (4, 1, 8)}, bytes(20 * MB), big)
    started = time.process_time()
    assert (picture(data)[:, :, 0] == quarters()[:, :, 0]).all()
    assert time.process_time() - started < 1


def raw_profile() -> PngImagePlugin.PngInfo:
    """As ImageMagick writes Exif data into a PNG."""
    block = exif(6).tobytes()
    info = PngImagePlugin.PngInfo()
    text = f"\nexif\n{len(block):8}\n{block.hex()[:72]}\n{block.hex()[72:]}\n"
    info.add_text("Raw profile type exif", text, zip=True)
    return info


def xmp_info() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP)
    return info


TURNED: dict[str, dict[str, object]] = {
    "JPEG, XMP": {"form": "JPEG", "xmp": XMP},
    "WEBP, XMP": {"form": "WEBP", "xmp": XMP},
    "PNG, XMP": {"form": "PNG", "pnginfo": xmp_info()},
    "PNG, ImageMagick": {"form": "PNG", "pnginfo": raw_profile()},
}


@pytest.mark.parametrize("name", TURNED)
def test_the_orientation_is_found_in_all_metadata_formats(name: str) -> None:
    assert_similar(picture(encoded(stored(quarters(), 6), **TURNED[name])), quarters())


def test_a_picture_with_nothing_else_is_not_copied() -> None:
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP"):
        data = encoded(Image.fromarray(quarters()), form)
        assert bounded(data) is data, form


def test_metadata_are_gone() -> None:
    block = exif(6)
    block[0x010E] = "who is seen, and where"
    for form in ("JPEG", "PNG", "WEBP"):
        data = encoded(quarters(), form, exif=block)
        assert b"who is seen" in data
        assert b"who is seen" not in bounded(data)
        image = Image.open(BytesIO(bounded(data)))
        assert dict(image.getexif()) == {0x0112: 6}


def test_a_jpeg_keeps_its_colour_information() -> None:
    cmyk = encoded(Image.fromarray(quarters()).convert("CMYK"), "JPEG")
    assert b"Adobe" in bounded(cmyk)
    assert_similar(picture(jpeg_with(segment(0xFE, b"x"))), quarters())


def test_damaged_structures_are_read_or_refused() -> None:
    chance = random.Random(0)
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"):
        whole = encoded(np.asarray(quarters()), form)
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(min(len(data), 400))] = chance.choice((0, 1, 255, 128))
            try:
                assert len(bounded(bytes(data))) <= len(data) + 300
            except NotAnImage as error:
                assert str(error)
