"""The comparisons that went most wrong, and small copies of their photos."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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
    return _mistakes(pairs, mated, np.argsort(-mated), mated >= alpha)


def nearest(pairs: Sequence[tuple[str, str]], non_mated: Distances, alpha: float) -> list[Mistake]:
    """Return the non-mated pairs with the shortest distances."""
    return _mistakes(pairs, non_mated, np.argsort(non_mated), non_mated < alpha)


def _mistakes(
    pairs: Sequence[tuple[str, str]],
    distances: Distances,
    order: NDArray[np.intp],
    wrong: NDArray[np.bool],
) -> list[Mistake]:
    found = []
    for row in order[np.isfinite(distances[order])][:_EACH].tolist():
        first, second = pairs[row]
        found.append(Mistake(first, second, float(distances[row]), bool(wrong[row])))
    return found


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
