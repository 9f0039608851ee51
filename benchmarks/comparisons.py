"""Turn photos into feature vectors, and these into the distances that error rates count."""

import csv
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.recognition import NotAnImage, UnusableImage
from app.recognition.recogniser import Recogniser
from benchmarks.rates import Distances


@dataclass(frozen=True, slots=True)
class Templates:
    """The photos' feature vectors.

    rows: photo → row of `vectors`. vectors: (photos, dimension) of unit length, or NaN if the photo
    was refused. refusals: reason → photos. scale: the model's distance_scale.
    """

    rows: dict[str, int]
    vectors: NDArray[np.float64]
    refusals: Counter[str]
    scale: float

    def compare(self, first: list[str], second: list[str]) -> Distances:
        """Return the distance between each photo of `first` and its counterpart in `second`."""
        a, b = self._of(first), self._of(second)
        return self._distances(np.einsum("ij,ij->i", a, b))

    def compare_all(self, first: list[str], second: list[str]) -> Distances:
        """Return the distances from each of `first` (rows) to each of `second` (columns)."""
        return self._distances(self._of(first) @ self._of(second).T)

    def usable(self, photo: str) -> bool:
        return not np.isnan(self.vectors[self.rows[photo], 0])

    def _of(self, photos: list[str]) -> NDArray[np.float64]:
        return self.vectors[[self.rows[photo] for photo in photos]]

    def _distances(self, cosines: NDArray[np.float64]) -> Distances:
        distances: Distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * self.scale
        distances[np.isnan(distances)] = np.inf
        return distances


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distances in one of LFW's lists of pairs."""

    photos: list[str]
    mated: Distances
    non_mated: Distances


def embed(recogniser: Recogniser, folder: Path) -> Templates:
    """Return the feature vectors of all photos below the folder."""
    photos = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.jpg"))
    refusals: Counter[str] = Counter()

    def vector(photo: str) -> NDArray[np.float32]:
        try:
            return recogniser.for_login((folder / photo).read_bytes())
        except (UnusableImage, NotAnImage) as error:
            refusals[getattr(error, "code", "not_an_image")] += 1
            return np.full(recogniser.model.dimension, np.nan, np.float32)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        vectors = list(tqdm(pool.map(vector, photos), total=len(photos), unit=" photos"))
    rows = {photo: row for row, photo in enumerate(photos)}
    scale = recogniser.model.distance_scale
    return Templates(rows, np.stack(vectors).astype(np.float64), refusals, scale)


def compare_pairs(templates: Templates, list_of_pairs: Path) -> Pairs:
    """Return the distances of the pairs in a CSV file with the columns img1, img2, same."""
    with list_of_pairs.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first, second = [row["img1"] for row in rows], [row["img2"] for row in rows]
    distances = templates.compare(first, second)
    same = np.array([row["same"] == "1" for row in rows])
    return Pairs(sorted({*first, *second}), distances[same], distances[~same])


def all_non_mated(templates: Templates, photos: list[str]) -> Distances:
    """Return the distances between every two photos of different people."""
    owners = np.array([person(photo) for photo in photos])
    different = np.triu(owners[:, None] != owners)
    distances: Distances = templates.compare_all(photos, photos)[different]
    return distances


@dataclass(frozen=True, slots=True)
class Search:
    """The results of identification experiments. Each array has a number for each probe.

    mated_right: distance to the nearest person of the gallery if that is the probe's own, else
    infinite. mated_wrong: the same if it is another person. non_mated: distance to the nearest.
    """

    enrolled: int
    draws: int
    mated_right: Distances
    mated_wrong: Distances
    non_mated: Distances


def search(
    templates: Templates, enrolled: int, draws: int, measure: Callable[[Distances], float]
) -> Search:
    """Enrol random people with one photo each, and search for another photo of each.

    Everybody else is searched for with one photo, as a stranger.

    draws: how often to begin again with other people and photos. measure: returns the distance to
    the nearest person, given those to all people.
    """
    rng = np.random.default_rng(enrolled)
    everybody = [list(photos) for _, photos in groupby(sorted(templates.rows), key=person)]
    right, wrong, non_mated = [], [], []
    for _ in range(draws):
        people = [list(rng.permutation(photos)) for photos in everybody]
        several = [photos for photos in people if len(photos) > 1]
        rng.shuffle(several)
        gallery = [photos[0] for photos in several[:enrolled]]
        mated = [photos[1] for photos in several[:enrolled]]
        known = {person(photo) for photo in gallery}
        strangers = [photos[0] for photos in people if person(photos[0]) not in known]
        distances = templates.compare_all(mated, gallery)
        own = distances.argmin(axis=1) == np.arange(len(gallery))
        nearest = np.array([measure(row) for row in distances])
        right.append(np.where(own, nearest, np.inf))
        wrong.append(np.where(own, np.inf, nearest))
        distances = templates.compare_all(strangers, gallery)
        non_mated.append(np.array([measure(row) for row in distances]))
    return Search(enrolled, draws, *map(np.concatenate, (right, wrong, non_mated)))


def person(photo: str) -> str:
    """Return the person a photo shows: LFW has a folder for each."""
    return photo.partition("/")[0]
