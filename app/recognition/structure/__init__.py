"""Bounds what a picture holds besides pixels, before any decoder sees it.

Decoders of pictures keep and read all that a file holds: millions of segments, tags or texts, each
of which takes a Python object. So here every format is walked in a bounded number of steps. Only
pixels, what they need, and the orientation that Exif or XMP data give stay.
"""

from app.recognition import NotAnImage
from app.recognition.structure import bmp, boxes, gif, jpeg, png, tiff, webp
from app.recognition.structure.parts import TooMuch

_WALKS = (
    (jpeg.is_jpeg, jpeg.bounded),
    (png.is_png, png.bounded),
    (tiff.is_tiff, tiff.bounded),
    (webp.is_webp, webp.bounded),
    (boxes.is_boxes, boxes.bounded),
    (gif.is_gif, gif.bounded),
    (bmp.is_bmp, bmp.bounded),
)


def bounded(data: bytes) -> bytes:
    """The picture with little besides its pixels: the same bytes if nothing is to be left out.

    What is none of these formats stays as it is. Raises NotAnImage.
    """
    for is_it, walk in _WALKS:
        if is_it(data):
            try:
                return walk(data)
            except TooMuch as error:
                raise NotAnImage("the picture holds too much besides its pixels") from error
            except (IndexError, ValueError) as error:  # the file ends, or says what cannot be
                raise NotAnImage("the picture is damaged or cut off") from error
    return data
