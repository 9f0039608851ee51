"""Photos that every machine has, in base64 as clients send them."""

import base64
from functools import cache

from PIL import Image, ImageOps

from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE, encoded

# The astronaut's face, cut as the model `dlib` wants a face: left, upper, right, lower.
ASTRONAUT_FACE = (166, 65, 285, 184)


@cache
def astronaut() -> str:
    """Eileen Collins, a PNG as `canvas.toDataURL()` makes it."""
    return _base64(Image.open(ASTRONAUT), "PNG")


@cache
def astronaut_again() -> str:
    """The same face in other pixels: mirrored, smaller, a JPEG."""
    return _base64(ImageOps.mirror(Image.open(ASTRONAUT)).resize((400, 400)), "JPEG")


@cache
def astronaut_face() -> str:
    """Nothing but the astronaut's face."""
    return _base64(Image.open(ASTRONAUT).crop(ASTRONAUT_FACE), "PNG")


@cache
def admiral() -> str:
    """Grace Hopper, a JPEG."""
    return _base64(Image.open(GRACE_HOPPER), "JPEG")


@cache
def both(admirals_height: int = 500) -> str:
    """The astronaut, 500 pixels high, and the admiral side by side; at 500 equally large faces."""
    left = Image.open(ASTRONAUT).crop((100, 0, 356, 320)).resize((400, 500))
    right = Image.open(GRACE_HOPPER).crop((100, 0, 420, 400))
    right = right.resize((admirals_height * 4 // 5, admirals_height))
    picture = Image.new("RGB", (left.width + right.width, max(left.height, right.height)))
    picture.paste(left, (0, 0))
    picture.paste(right, (left.width, 0))
    return _base64(picture, "JPEG")


@cache
def cat() -> str:
    """A cat's face."""
    return _base64(Image.open(WITHOUT_FACE[0]), "JPEG")


@cache
def coffee() -> str:
    """A cup of coffee."""
    return _base64(Image.open(WITHOUT_FACE[1]), "JPEG")


def _base64(picture: Image.Image, form: str) -> str:
    return base64.b64encode(encoded(picture, form)).decode()
