"""Turn photos into feature vectors, and these into the distances that error rates count."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.evaluation.rates import Distances
from app.limiter import Overloaded
from app.recognition import NotAnImage, UnusableImage
from models.catalogue import FaceModel

Vector = NDArray[np.float32]

_MAX_FILE = 64 << 20  # bytes of a photo, so that all that are read at once fit into memory


@dataclass(frozen=True, slots=True)
class Templates:
    """The photos' feature vectors.

    rows: photo → row of `vectors`. vectors: (photos, dimension) of unit length, or NaN if the photo
    was refused. refused: photo → reason. seconds: (photos,) from the encoded photo to the vector,
    while as many photos as there are cores are processed. scale: the model's distance_scale.
    """

    rows: dict[str, int]
    vectors: Vector
    refused: dict[str, str]
    seconds: NDArray[np.float64]
    scale: float

    @property
    def refusals(self) -> Counter[str]:
        """Return how many photos were refused for each reason."""
        return Counter(self.refused.values())

    def compare(self, first: Sequence[str], second: Sequence[str]) -> Distances:
        """Return the distance between each photo of `first` and its counterpart in `second`."""
        a, b = self._of(first), self._of(second)
        return self._distances(np.einsum("ij,ij->i", a, b))

    def compare_all(self, first: Sequence[str], second: Sequence[str]) -> Distances:
        """Return the distances from each of `first` (rows) to each of `second` (columns)."""
        return self._distances(self._of(first) @ self._of(second).T)

    def usable(self, photo: str) -> bool:
        return photo not in self.refused

    def _of(self, photos: Sequence[str]) -> NDArray[np.float64]:
        return self.vectors[[self.rows[photo] for photo in photos]].astype(np.float64)

    def _distances(self, cosines: NDArray[np.float64]) -> Distances:
        distances: Distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * self.scale
        distances[np.isnan(distances)] = np.inf
        return distances


def embed(
    photos: Sequence[str],
    folder: Path,
    vector: Callable[[bytes], Vector],
    model: FaceModel,
    title: str = "",
) -> Templates:
    """Return the feature vectors of photos, and show a progress bar on a terminal.

    photos: paths relative to the folder. vector: makes a vector of an encoded photo, and raises
    NotAnImage and UnusableImage.
    """
    refused: dict[str, str] = {}
    seconds = np.zeros(len(photos))

    def one(numbered: tuple[int, str]) -> Vector:
        number, photo = numbered
        try:
            data = read_photo(folder / photo)
            began = time.perf_counter()
            made = _patiently(vector, data)
            seconds[number] = time.perf_counter() - began
            return made
        except (UnusableImage, NotAnImage, OSError) as error:
            refused[photo] = _code(error)
            return np.full(model.dimension, np.nan, np.float32)

    vectors = np.empty((len(photos), model.dimension), np.float32)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        found = pool.map(one, enumerate(photos))
        bar = tqdm(found, desc=title, total=len(photos), unit=" photos", disable=None)
        for row, made in enumerate(bar):
            vectors[row] = made
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C ends after the photos in progress
    rows = {photo: row for row, photo in enumerate(photos)}
    return Templates(rows, vectors, refused, seconds, model.distance_scale)


def read_photo(path: Path) -> bytes:
    """Return the bytes of a photo. Raises OSError, and NotAnImage if there are too many."""
    with path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise NotAnImage("the file is too large for a photo")
    return data


def _patiently(vector: Callable[[bytes], Vector], data: bytes) -> Vector:
    while True:
        try:
            return vector(data)
        except Overloaded:  # other photos fill the memory for decoding
            continue


def _code(error: OSError | UnusableImage | NotAnImage) -> str:
    return "unreadable_file" if isinstance(error, OSError) else error.code
