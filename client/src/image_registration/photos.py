"""Photos as people have them, and as they are sent."""

from collections.abc import Iterable
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Photo: TypeAlias = Union[str, PathLike[str], bytes, IO[bytes], "NDArray[np.uint8]", "Image"]
"""A path, the bytes of a file, an open file, an RGB array (rows, columns, 3), or a PIL image."""


def encoded(photo: Photo) -> bytes:
    """Return the photo as a file; arrays and PIL images become PNGs, which needs Pillow.

    Raises OSError if it cannot be read, TypeError if it is no photo.
    """
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, str | PathLike):
        return Path(photo).read_bytes()
    if hasattr(photo, "read"):
        return photo.read()
    return _as_png(photo)


def all_encoded(photos: Iterable[Photo]) -> list[bytes]:
    """Return each photo as a file. Raises as `encoded`, and TypeError if it is one photo."""
    if isinstance(photos, str | bytes | PathLike) or hasattr(photos, "read"):
        raise TypeError("send a list of photos, not one photo")
    return [encoded(photo) for photo in photos]


def _as_png(photo: "NDArray[np.uint8] | Image") -> bytes:
    from PIL import Image, ImageOps  # only those need it who send such photos

    if not isinstance(photo, Image.Image):
        shape, dtype = getattr(photo, "shape", None), getattr(photo, "dtype", None)
        if not shape or shape[2:] != (3,) or dtype != "uint8":
            raise TypeError(
                "send a photo as a path, bytes, an open file, a PIL image, or an array of shape "
                f"(rows, columns, 3) and dtype uint8, not {type(photo).__name__} {shape} {dtype}"
            )
        photo = Image.fromarray(photo)
    file = BytesIO()
    ImageOps.exif_transpose(photo).convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()
