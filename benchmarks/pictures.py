"""Provide the photos for measured logins, encoded as clients send them."""

import base64
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from models.package_data import package_file

FACES = Path(__file__).parents[2] / "shared" / "faces"
LOGIN_SIZE = (640, 480)
PHONE_SIZE = (4000, 3000)
_SENSOR_NOISE = 4  # grey levels; makes an enlarged photo as many bytes as a phone's


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a picture to enrol, and one to log in with: another one, if there is one."""

    employee_id: int
    enrolment: Image.Image
    login: Image.Image


def people(count: int = 12) -> list[Person]:
    """Return a dozen people, or two from installed packages if the photo collection is missing."""
    folder = FACES / "people"
    if folder.is_dir():
        pairs = [sorted(person.iterdir())[:2] for person in sorted(folder.glob("p*"))]
    else:
        pairs = [
            [package_file("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")],
            [package_file("skimage", "data/astronaut.png")],
        ]
    return [
        Person(employee_id, *(framed(Image.open(photo)) for photo in (pair[0], pair[-1])))
        for employee_id, pair in enumerate(pairs[:count], start=1_000_001)
    ]


def framed(photo: Image.Image, size: tuple[int, int] = LOGIN_SIZE) -> Image.Image:
    """Return the photo as a camera of that size would have taken it: cropped and scaled.

    The upper part of an upright photo is kept, because the face is there.
    """
    photo = photo.convert("RGB")
    scale = max(size[0] / photo.width, size[1] / photo.height)
    width, height = round(size[0] / scale), round(size[1] / scale)
    left, top = (photo.width - width) // 2, (photo.height - height) // 6
    box = (left, top, left + width, top + height)
    return photo.resize(size, Image.Resampling.LANCZOS, box=box)


def phone_photo(photo: Image.Image) -> bytes:
    """Return the picture as a JPEG of 12 megapixels and a few megabytes."""
    large = np.asarray(photo.resize(PHONE_SIZE, Image.Resampling.LANCZOS)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, _SENSOR_NOISE, (*large.shape[:2], 1))
    return jpeg(Image.fromarray((large + noise).clip(0, 255).astype(np.uint8)), quality=92)


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(picture: Image.Image) -> bytes:
    """Return a PNG, as a browser's `canvas.toDataURL()` makes it."""
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def login_body(photo: bytes) -> bytes:
    """Return the body of a find_match request."""
    return json.dumps({"img_base64": base64.b64encode(photo).decode()}).encode()
