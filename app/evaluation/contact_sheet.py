"""The comparisons that went most wrong, and small copies of their photos."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from app.evaluation.rates import Distances
from app.evaluation.templates import read_photo
from app.limiter import Overloaded
from app.recognition import NotAnImage, UnusableImage
from app.recognition.image import Photo

_EACH = 12  # comparisons of a kind
_SIDE = 112  # pixels of a photo's shorter side, at least
_MEGAPIXELS = 51.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """Two photos that were compared. wrong: whether α decides it wrongly."""

    first: str
    second: str
    distance: float
    wrong: bool


def farthest(pairs: Sequence[tuple[str, str]], mated: Distances, alpha: float) -> list[Mistake]:
    """Return the mated pairs with the longest distances; refused photos have none."""
    order = [row for row in np.argsort(-mated) if np.isfinite(mated[row])][:_EACH]
    return [Mistake(*pairs[row], float(mated[row]), bool(mated[row] >= alpha)) for row in order]


def nearest(pairs: Sequence[tuple[str, str]], non_mated: Distances, alpha: float) -> list[Mistake]:
    """Return the non-mated pairs with the shortest distances."""
    order = [row for row in np.argsort(non_mated) if np.isfinite(non_mated[row])][:_EACH]
    return [
        Mistake(*pairs[row], float(non_mated[row]), bool(non_mated[row] < alpha)) for row in order
    ]


def thumbnails(folder: Path, photos: Iterator[str]) -> dict[str, str]:
    """Return small copies of photos as data URLs; photos that cannot be decoded are left out."""
    found: dict[str, str] = {}
    for photo in photos:
        if photo in found:
            continue
        try:
            picture = Photo(read_photo(folder / photo), _MEGAPIXELS).decode(_SIDE)
        except (OSError, NotAnImage, UnusableImage, Overloaded):
            continue
        image = Image.fromarray(picture)
        image.thumbnail((3 * _SIDE, 3 * _SIDE))
        file = BytesIO()
        image.save(file, "JPEG", quality=80)
        found[photo] = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return found
