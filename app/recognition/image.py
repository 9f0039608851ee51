"""Encoded pictures → upright RGB pixels."""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pi_heif import register_heif_opener
from PIL import ExifTags, Image, UnidentifiedImageError

from app.limiter import Overloaded
from app.recognition import ImageTooLarge, NotAnImage
from app.recognition.pixel_budget import PixelBudget
from app.recognition.structure import bounded
from app.recognition.structure.jpeg import MAX_SCANS, scans

register_heif_opener(thumbnails=False)  # lets Pillow read HEIC

Picture = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "TIFF", "BMP")

_SHARE_OF_PIXELS = {"WEBP": 0.5}  # WebP's decoder takes 16 bytes a pixel, the others at most 8
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags
_BAND = 1 << 20  # pixels converted to RGB at a time
_SAMPLES, _WHITE_QUANTILE = 1 << 18, 0.999  # white is estimated as this quantile of so many pixels

# Modes in which Pillow can shrink a picture before it is converted to RGB.
_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")

# EXIF orientation → the transposition that turns the picture upright.
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

    max_megapixels: WebP may have half as many. formats: the accepted ones of FORMATS. budget:
    pixels that all photos share while they are decoded.
    Raises NotAnImage, and ImageTooLarge before any pixel is decoded.
    """

    def __init__(
        self,
        data: bytes,
        max_megapixels: float,
        formats: Collection[str] = FORMATS,
        budget: PixelBudget | None = None,
    ) -> None:
        self._data = bounded(data)
        self._formats = tuple(formats)
        self._budget = budget
        with _pillow_errors(self._formats):
            image = self._open()
            pixels = max(image.width * image.height, _tile(image))
            self._scans = scans(self._data, MAX_SCANS) if image.format == "JPEG" else 1
        self.shorter_side, self.longer_side = sorted(image.size)
        allowed = max_megapixels * _SHARE_OF_PIXELS.get(image.format or "", 1)
        if pixels / 1e6 > allowed:
            raise ImageTooLarge(
                f"the picture has {pixels / 1e6:.1f} megapixels, at most {allowed:g} are allowed"
            )
        if self._scans > MAX_SCANS:
            raise NotAnImage("the picture is a JPEG with too many scans")

    def decode(self, shorter_side: float = math.inf) -> Picture:
        """Return the first frame, upright as its EXIF orientation says.

        shorter_side: how many pixels suffice; a larger picture is shrunk, a JPEG to a half, quarter
        or eighth while it is decoded, which is much faster. Returns (rows, columns, 3) uint8 RGB;
        transparent pixels become white. Raises NotAnImage, Overloaded.
        """
        with self.decoded(shorter_side) as picture:
            return picture

    @contextmanager
    def decoded(self, shorter_side: float) -> Iterator[Picture]:
        """Yield what `decode` returns, and hold its share of the budget until the block ends."""
        with ExitStack() as shares:
            with _pillow_errors(self._formats):
                image = self._open()
                whole = math.prod(image.size)
                if shorter_side < self.shorter_side:
                    share = shorter_side / self.shorter_side
                    size = math.ceil(image.width * share), math.ceil(image.height * share)
                    image.draft(None, size)  # None keeps the mode
                shares.enter_context(self._share(image, whole))
                image.load()
                factor = max(1, math.floor(min(image.size) / shorter_side))
                picture = _upright(image, _rgb(image, factor))
                image.close()
            yield picture

    def _open(self) -> Image.Image:
        Image.init()
        return Image.open(BytesIO(self._data), formats=self._formats)

    def _share(self, image: Image.Image, whole: int) -> AbstractContextManager[None]:
        """Return a share of the budget. whole: pixels of the picture in full size."""
        if self._budget is None:
            return nullcontext()
        if image.format in ("AVIF", "HEIF"):  # may hold more pixels than they declare
            return self._budget.share(math.inf)
        # A JPEG with several scans is put together in full size.
        return self._budget.share(whole if self._scans > 1 else math.prod(image.size))


@contextmanager
def _pillow_errors(formats: Collection[str]) -> Iterator[None]:
    """Raise ImageTooLarge, NotAnImage or MemoryError in place of Pillow's errors."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("the picture has far too many pixels") from error
    except UnidentifiedImageError as error:
        raise NotAnImage(f"not a picture we can read ({', '.join(formats)})") from error
    except (Overloaded, MemoryError):
        raise
    except OSError as error:
        if "out of memory" in str(error):  # Pillow's text if a decoder fails to allocate
            raise MemoryError from error
        raise NotAnImage("the picture is damaged or cut off") from error
    except Exception as error:  # on arbitrary bytes, decoders raise nearly anything
        raise NotAnImage("the picture is damaged or cut off") from error


def _tile(image: Image.Image) -> int:
    """Return the pixels of a TIFF's tile, which is decoded whole however small the picture is."""
    tags: Mapping[int, int] = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))


def _rgb(image: Image.Image, factor: int) -> Picture:
    """Return (rows, columns, 3) uint8, shrunk by a whole factor.

    It works in bands, so that the whole picture is never copied.
    """
    small = factor == 1 and math.prod(image.size) <= _BAND
    if small and image.mode == "RGB" and not image.has_transparency_data:
        return np.asarray(image)
    white_level = _white_level(image)
    picture = np.empty((-(-image.height // factor), -(-image.width // factor), 3), np.uint8)
    rows = max(1, _BAND // (image.width * factor))
    for row in range(0, len(picture), rows):
        lower = min((row + rows) * factor, image.height)
        band = image.crop((0, row * factor, image.width, lower))
        if image.mode in _REDUCIBLE:
            band = _to_rgb(band.reduce(factor), white_level)
        else:
            band = _to_rgb(band, white_level).reduce(factor)
        picture[row : row + rows] = np.asarray(band)
    return picture


def _upright(image: Image.Image, picture: Picture) -> Picture:
    # ImageOps.exif_transpose rewrites the EXIF data, and fails if they are malformed.
    with suppress(Exception):
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        if orientation in _TURNS:
            return np.asarray(Image.fromarray(picture).transpose(_TURNS[orientation]))
    return picture


def _white_level(image: Image.Image) -> float:
    """Return the value of white: 1 for fractions, else 2ⁿ − 1, n ≥ 8.

    Beyond 8 bits it is estimated, because infrared and industrial cameras use 8 to 12 of 16 bits.
    The few brightest values are ignored: they are lamps and broken pixels.
    """
    if not _is_deep(image.mode):
        return 255
    step = max(1, math.isqrt(math.prod(image.size) // _SAMPLES))
    rows = [
        np.asarray(image.crop((0, row, image.width, row + 1)), np.float64)[0, ::step]
        for row in range(0, image.height, step)
    ]
    bright = float(np.quantile(np.nan_to_num(np.concatenate(rows)), _WHITE_QUANTILE))
    if image.mode == "F" and bright <= 1:
        return 1
    return float(2 ** max(8, math.ceil(math.log2(max(bright, 0) + 1))) - 1)


def _is_deep(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;16")


def _to_rgb(image: Image.Image, white_level: float) -> Image.Image:
    """Return an RGB picture. white_level: the value of white if there are more than 8 bits."""
    if _is_deep(image.mode):
        values = np.nan_to_num(np.asarray(image, np.float64)).clip(0, white_level)
        image = Image.fromarray((values * (255 / white_level)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    return image.convert("RGB")
