"""What is damaged or no picture at all is refused, and nothing else goes wrong."""

import struct
from io import BytesIO

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.recognition import NotAnImage, UnusableImage
from testbed.photos import encoded, picture
from tests.support.image_files import (
    FORMATS,
    ORIENTATION,
    assert_similar,
    exif,
    quarters,
    stored,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged tags


def assert_read_or_refused(data: bytes) -> None:
    try:
        pixels = picture(data)
    except (NotAnImage, UnusableImage) as error:
        assert str(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    block = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03" * 9
    assert_similar(picture(encoded(quarters(), "JPEG", exif=block)), quarters())


def test_a_wrong_exif_tag_does_not_cost_the_picture() -> None:
    entries = struct.pack(">HHI4s", 0x0100, 2, 4, b"wide")  # the width, written as a text
    entries += struct.pack(">HHIHH", ORIENTATION, 3, 1, 6, 0)
    block = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4)
    data = encoded(stored(quarters(), 6), "JPEG", exif=block)
    assert_similar(picture(data), quarters())


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_was_cut_off_is_refused(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = encoded(noise, form)
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(NotAnImage):
            picture(data[: int(len(data) * share)])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_damaged_file_is_read_or_refused_wherever_the_damage_is(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    data = encoded(noise, form, exif=exif(6))
    for position in range(0, len(data), max(1, len(data) // 200)):
        assert_read_or_refused(data[:position] + b"\xff\0\xff" + data[position + 3 :])
        assert_read_or_refused(data[:position] + data[position + 7 :])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, I am a photo",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6 2 2 255\n" + bytes(12),
        encoded(Image.new("RGB", (9, 9)), "ICO"),
    ],
    ids=["empty", "a zero", "text", "SVG", "PDF", "EPS", "PPM", "ICO"],
)
def test_other_files_are_refused_with_the_formats_we_read(data: bytes) -> None:
    with pytest.raises(NotAnImage, match="JPEG, PNG, WEBP, AVIF, HEIF, GIF, TIFF, BMP"):
        picture(data)


def samples() -> list[bytes]:
    """Small files with everything on board, one of each format."""
    shapes = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    shapes[:8] = 90
    tags = exif(6)
    tags[0x010E] = "a description"
    image = Image.fromarray(shapes)
    forms = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
    files = [encoded(image, form, exif=tags) for form in forms]
    return [*files, encoded(image, "GIF"), encoded(image, "BMP")]


SAMPLES = samples()
edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=8)


@given(st.binary(max_size=200), st.sampled_from([b"", *(sample[:16] for sample in SAMPLES)]))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    assert_read_or_refused(start + data)


@given(st.sampled_from(SAMPLES), edits, st.floats(0.1, 1))
@example(SAMPLES[3], [], 0.9)
@settings(max_examples=600, deadline=None)
def test_damaged_files_are_read_or_refused(
    data: bytes, edits: list[tuple[float, bytes]], kept: float
) -> None:
    damaged = BytesIO(data)
    for position, new in edits:
        damaged.seek(int(position * len(data)))
        damaged.write(new)
    assert_read_or_refused(damaged.getvalue()[: int(len(data) * kept)])
