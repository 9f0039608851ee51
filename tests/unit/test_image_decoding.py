"""Encoded pictures of every format and mode become upright RGB pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.recognition.image import Photo
from testbed.photos import GRACE_HOPPER, encoded, picture
from tests.support.image_files import (
    COLUMNS,
    FIRST_ROW_AND_COLUMN,
    FORMATS,
    ROWS,
    assert_similar,
    exif,
    quarters,
    stored,
)


@pytest.mark.parametrize("orientation", FIRST_ROW_AND_COLUMN)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_turns_upright_as_exif_says(form: str, orientation: int) -> None:
    data = encoded(stored(quarters(), orientation), form, exif=exif(orientation))
    assert_similar(picture(data), quarters())


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_as_if_there_were_none(orientation: int) -> None:
    assert_similar(picture(encoded(quarters(), "JPEG", exif=exif(orientation))), quarters())


def grey(dark: float, bright: float, dtype: str) -> np.ndarray:
    values = np.full((ROWS, COLUMNS), dark, dtype)
    values[:, 24:] = bright
    return values


def alpha(image: Image.Image) -> Image.Image:
    """Its left half is clear."""
    mask = Image.fromarray(grey(0, 255, "uint8"))
    image.putalpha(mask)
    return image


def clear_colour(mode: str) -> bytes:
    """Black, on the left, is transparent."""
    image = Image.fromarray(grey(0, 200, "uint8")).convert(mode)
    clear = (0, 0, 0) if mode == "RGB" else 0
    if mode == "P":
        clear = int(np.asarray(image)[0, 0])
    return encoded(image, "PNG", transparency=clear)


L = Image.fromarray(grey(40, 200, "uint8"))
CASES: dict[str, tuple[Callable[[], bytes], tuple[int, int]]] = {
    "1": (lambda: encoded(Image.fromarray(grey(0, 1, "bool")), "PNG"), (0, 255)),
    "1, TIFF, fax": (
        lambda: encoded(Image.fromarray(grey(0, 1, "bool")), "TIFF", compression="group4"),
        (0, 255),
    ),
    "L": (lambda: encoded(L, "PNG"), (40, 200)),
    "LA": (lambda: encoded(alpha(L.copy()), "PNG"), (255, 200)),
    "L, clear": (lambda: clear_colour("L"), (255, 200)),
    "P": (lambda: encoded(L.convert("P"), "PNG"), (40, 200)),
    "P, clear": (lambda: clear_colour("P"), (255, 200)),
    "RGB": (lambda: encoded(L.convert("RGB"), "PNG"), (40, 200)),
    "RGB, clear": (lambda: clear_colour("RGB"), (255, 200)),
    "RGBA": (lambda: encoded(alpha(L.convert("RGB")), "PNG"), (255, 200)),
    "RGBA, WebP": (lambda: encoded(alpha(L.convert("RGB")), "WEBP", lossless=True), (255, 200)),
    "CMYK, JPEG": (lambda: encoded(L.convert("RGB").convert("CMYK"), "JPEG"), (40, 200)),
    "CMYK, TIFF": (lambda: encoded(L.convert("RGB").convert("CMYK"), "TIFF"), (40, 200)),
    "YCbCr, TIFF": (lambda: encoded(L.convert("YCbCr"), "TIFF"), (40, 200)),
    "I;16": (lambda: encoded(Image.fromarray(grey(40 << 8, 200 << 8, "uint16"))), (40, 200)),
    "I;16, TIFF": (
        lambda: encoded(Image.fromarray(grey(40 << 8, 200 << 8, "uint16")), "TIFF"),
        (40, 200),
    ),
    "I;16B, TIFF": (
        lambda: encoded(Image.fromarray(grey(40 << 8, 200 << 8, ">u2")), "TIFF"),
        (40, 200),
    ),
    "I, bytes": (lambda: encoded(Image.fromarray(grey(40, 200, "int32")), "TIFF"), (40, 200)),
    "I, 16 bits": (
        lambda: encoded(Image.fromarray(grey(40 * 257, 200 * 257, "int32")), "TIFF"),
        (40, 200),
    ),
    "I, out of range": (
        lambda: encoded(Image.fromarray(grey(-5, 200_000, "int32")), "TIFF"),
        (0, 195),
    ),
    "F, fractions": (
        lambda: encoded(Image.fromarray(grey(0.2, 0.8, "float32")), "TIFF"),
        (51, 204),
    ),
    "F": (lambda: encoded(Image.fromarray(grey(40, 200, "float32")), "TIFF"), (40, 200)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_mode_becomes_rgb_and_what_is_clear_white(case: str) -> None:
    make, (left, right) = CASES[case]
    expected = np.repeat(grey(left, right, "uint8")[:, :, None], 3, axis=2)
    assert_similar(picture(make()), expected, tolerance=2)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_white_follows_the_bits_in_use(bits: int, form: str) -> None:
    """Infrared cameras use some of them, and have a broken pixel now and then."""
    most = 2**bits - 1
    values = grey(0.2 * most, 0.8 * most, "uint16")
    values = values.repeat(20, axis=0).repeat(20, axis=1)
    values[5, 5] = 65_535
    seen = picture(encoded(Image.fromarray(values), form))
    assert abs(int(np.median(seen[:, :200])) - 51) < 3
    assert abs(int(np.median(seen[:, -200:])) - 204) < 3


def test_heic_is_read() -> None:
    """Made from the portrait of Grace Hopper, which is in the public domain, at 320×375."""
    heic = picture((Path(__file__).parents[1] / "data" / "grace_hopper.heic").read_bytes())
    portrait = Image.open(GRACE_HOPPER).crop((0, 0, 512, 600)).resize((320, 375))
    assert heic.shape == (375, 320, 3)
    assert np.abs(heic.astype(int) - np.asarray(portrait)).mean() < 6


def test_half_transparent_is_blended_with_white() -> None:
    image = Image.new("RGBA", (8, 8), (100, 0, 200, 128))
    np.testing.assert_allclose(picture(encoded(image))[0, 0], (177, 127, 227), atol=1)


@pytest.mark.parametrize("form", FORMATS)
def test_reads_the_format(form: str) -> None:
    assert_similar(picture(encoded(quarters(), form)), quarters())


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_several_frames_the_first_counts(form: str) -> None:
    frames = [Image.fromarray(quarters()), Image.new("RGB", (COLUMNS, ROWS), "grey")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert_similar(picture(data), quarters())


def test_a_progressive_jpeg_is_read() -> None:
    assert_similar(picture(encoded(quarters(), "JPEG", progressive=True)), quarters())


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_shrunk_while_it_is_decoded(orientation: int) -> None:
    upright = quarters().repeat(30, axis=0).repeat(30, axis=1)
    data = encoded(stored(upright, orientation), "JPEG", exif=exif(orientation))
    photo = Photo(data, max_megapixels=50)
    assert photo.shorter_side == 960
    assert_similar(photo.decode(shorter_side=240), upright[::4, ::4])
    assert photo.decode(shorter_side=241).shape == (480, 720, 3)
    assert photo.decode().shape == (960, 1440, 3)
