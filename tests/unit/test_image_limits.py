"""Pictures with too many pixels are refused before any of them is decoded."""

import struct
import time
import zlib
from collections.abc import Callable

import pytest

from app.recognition import ImageTooLarge, NotAnImage
from app.recognition.image import Photo
from testbed.photos import encoded, picture
from tests.support.image_files import (
    COLUMNS,
    ROWS,
    quarters,
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns: int, rows: int, *, pixels: bytes = b"", before: bytes = b"") -> bytes:
    """A bilevel PNG that claims this size, whatever it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb(side: int) -> bytes:
    """Every pixel is there, in a file a thousand times smaller."""
    return png(side, side, pixels=zlib.compress(bytes((side // 8 + 1) * side), 9))


def resized_header(data: bytes, at: int, layout: str, side: int) -> bytes:
    """The same file with another width and height in its header."""
    return data[:at] + struct.pack(layout, side, side) + data[at + struct.calcsize(layout) :]


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(30_000, 30_000),
        lambda: png(2**31 - 1, 2**31 - 1),
        lambda: bomb(8_000),
        lambda: bomb(15_000),
        lambda: resized_header(encoded(quarters(), "BMP"), 18, "<II", 30_000),
        lambda: resized_header(encoded(quarters(), "GIF"), 6, "<HH", 60_000),
    ],
    ids=["header", "largest header", "64 megapixels", "225 megapixels", "BMP", "GIF"],
)
def test_too_many_pixels_are_refused_before_any_is_decoded(make: Callable[[], bytes]) -> None:
    data = make()
    start = time.process_time()
    with pytest.raises(ImageTooLarge, match="pixels"):
        Photo(data, max_megapixels=50)
    assert time.process_time() - start < 0.5


def test_the_limit_itself_is_taken() -> None:
    assert picture(encoded(quarters())).shape == (ROWS, COLUMNS, 3)
    pixels = ROWS * COLUMNS
    assert Photo(encoded(quarters()), pixels / 1e6).shorter_side == ROWS
    with pytest.raises(ImageTooLarge):
        Photo(encoded(quarters()), (pixels - 1) / 1e6)


def test_texts_that_unpack_to_much_are_not_unpacked() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 1))
    start = time.process_time()
    with pytest.raises(NotAnImage):
        picture(png(8, 8, before=text))
    assert time.process_time() - start < 1
