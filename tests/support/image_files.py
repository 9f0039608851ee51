"""Small pictures as files, and what is to be seen in them."""

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
ROWS, COLUMNS = 32, 48

# What EXIF says the first stored row and the first stored column are of the upright picture.
FIRST_ROW_AND_COLUMN = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


def quarters() -> np.ndarray:
    """Four colours, so that every way to turn or mirror the picture shows."""
    upright = np.empty((ROWS, COLUMNS, 3), np.uint8)
    upright[:16, :24], upright[:16, 24:] = (250, 10, 10), (10, 250, 10)
    upright[16:, :24], upright[16:, 24:] = (10, 10, 250), (250, 250, 250)
    return upright


def stored(upright: np.ndarray, orientation: int) -> Image.Image:
    """The pixels as a camera held that way writes them."""
    row, column = FIRST_ROW_AND_COLUMN[orientation]
    pixels = upright.transpose(1, 0, 2) if row in ("left", "right") else upright
    pixels = pixels[::-1] if row in ("bottom", "right") else pixels
    pixels = pixels[:, ::-1] if column in ("bottom", "right") else pixels
    return Image.fromarray(np.ascontiguousarray(pixels))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def assert_similar(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 12) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < tolerance
