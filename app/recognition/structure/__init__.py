"""Bound what a picture holds in addition to its pixels, before a decoder sees it.

Decoders read and keep everything in a file, even millions of segments, tags or texts, with a Python
object for each. So every format is first walked in a bounded number of steps. What remains is the
pixels, what their decoding needs, and the orientation from Exif or XMP data.
"""

from app.recognition import NotAnImage
from app.recognition.structure import bmp, boxes, gif, jpeg, png, tiff, webp
from app.recognition.structure.parts import TooMuch

# Each raises TooMuch, or IndexError or ValueError if the data is damaged.
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
    """Return the picture with little in addition to its pixels.

    The bytes stay the same if nothing is to be removed, or if the format is unknown. Raises
    NotAnImage.
    """
    for matches, walk in _WALKS:
        if matches(data):
            try:
                return walk(data)
            except TooMuch as error:
                raise NotAnImage(
                    "the picture contains too much data in addition to the image"
                ) from error
            except (IndexError, ValueError) as error:  # the file ends early, or contradicts itself
                raise NotAnImage("the picture is damaged or cut off") from error
    return data
