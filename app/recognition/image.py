"""Encoded pictures → upright RGB pixels."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from app.recognition import ImageTooLarge, NotAnImage

Picture = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")

_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")

# EXIF orientation → what turns the picture upright
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Photo:
    """An encoded picture, checked but not decoded yet.

    Raises NotAnImage, and ImageTooLarge before any pixel is decoded.
    """

    def __init__(self, data: bytes, max_megapixels: float) -> None:
        self._data = data
        with _pillow_errors():
            image = _open(data)
        self.shorter_side = min(image.size)
        megapixels = image.width * image.height / 1e6
        if megapixels > max_megapixels:
            raise ImageTooLarge(
                f"the picture has {megapixels:.1f} megapixels, at most {max_megapixels:g} are taken"
            )

    def decode(self, shorter_side: float = math.inf) -> Picture:
        """The first frame, turned upright as its EXIF orientation says.

        shorter_side: how many pixels suffice; larger pictures are shrunk, a JPEG to a half, quarter
        or eighth while it is decoded, which is much faster. Returns (rows, columns, 3) uint8 RGB.
        What is transparent becomes white. Raises NotAnImage.
        """
        with _pillow_errors():
            image = _open(self._data)
            if shorter_side < self.shorter_side:
                share = shorter_side / self.shorter_side
                size = math.ceil(image.width * share), math.ceil(image.height * share)
                image.draft(None, size)  # None keeps the mode
            image.load()
            spare = math.floor(min(image.size) / shorter_side)
            if spare > 1 and image.mode in _REDUCIBLE:  # before conversions make copies of it all
                image = image.reduce(spare)
            return np.asarray(_to_rgb(_upright(image)))


def _open(data: bytes) -> Image.Image:
    Image.init()
    return Image.open(BytesIO(data), formats=FORMATS)


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """What Pillow's decoders raise on damaged files, as ours."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("the picture has far too many pixels") from error
    except UnidentifiedImageError as error:
        raise NotAnImage(f"not a picture we can read ({', '.join(FORMATS)})") from error
    except MemoryError:
        raise
    except Exception as error:  # a file of any bytes makes decoders raise nearly anything
        raise NotAnImage("the picture is damaged or cut off") from error


def _upright(image: Image.Image) -> Image.Image:
    # not ImageOps.exif_transpose: that one writes the EXIF data anew and fails where they are wrong
    with suppress(Exception):
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        if orientation in _TURNS:
            return image.transpose(_TURNS[orientation])
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float64))
        top = 255 if values.max(initial=0) <= 255 else 65535
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
