"""Encoded pictures → upright RGB pixels."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from app.recognition import ImageTooLarge, NotAnImage

Picture = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


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
                f"the picture has {megapixels:.0f} megapixels, at most {max_megapixels:g} are taken"
            )

    def decode(self, shorter_side: float = math.inf) -> Picture:
        """The first frame, turned upright as its EXIF orientation says.

        shorter_side: how many pixels suffice; a large JPEG is shrunk to a half, quarter or eighth
        while it is decoded, which is much faster. Returns (rows, columns, 3) uint8 RGB. What is
        transparent becomes white. Raises NotAnImage.
        """
        with _pillow_errors():
            image = _open(self._data)
            if shorter_side < self.shorter_side:
                share = shorter_side / self.shorter_side
                size = math.ceil(image.width * share), math.ceil(image.height * share)
                image.draft(None, size)  # None keeps the mode
            image.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))


def _open(data: bytes) -> Image.Image:
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # we have a limit of our own
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
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise NotAnImage("the picture is damaged or cut off") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        top = 255 if values.max(initial=0) <= 255 else 65535
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
