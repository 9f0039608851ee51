"""Photos to test with: those that installed packages carry, and the development set's."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from app.recognition.image import Photo, Picture
from models.package_data import package_file

FACES = Path(__file__).parents[2] / "shared" / "faces"

GRACE_HOPPER = package_file("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")
ASTRONAUT = package_file("skimage", "data/astronaut.png")
PORTRAITS = (GRACE_HOPPER, ASTRONAUT)
"""One woman in each; her face is the only one."""

WITHOUT_FACE = tuple(
    package_file("skimage", f"data/{name}")
    for name in ("chelsea.png", "coffee.png", "rocket.jpg", "page.png", "coins.png", "brick.png")
)
"""A cat, a cup, a rocket, print, coins and a wall."""


def picture(photo: Path | bytes) -> Picture:
    """(rows, columns, 3) uint8 RGB, in full size and upright."""
    data = photo if isinstance(photo, bytes) else photo.read_bytes()
    return Photo(data, max_megapixels=50).decode()


def encoded(image: Image.Image | Picture, form: str = "PNG", **options: object) -> bytes:
    """The picture as a file of that format."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def people() -> dict[str, list[Path]]:
    """Every person of the development set with all photos, by name."""
    folders = sorted((FACES / "people").iterdir())
    return {folder.name: sorted(folder.iterdir()) for folder in folders}
