"""Turn photos into feature vectors, and these into the distances that error rates count."""

import csv
import os
from collections import Counter
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
    """The results of an identification experiment. Each array has a number for each probe.

    mated_right: distance to the nearest person of the gallery if that is the probe's own, else
    infinite. mated_wrong: the same if it is another person. non_mated: distance to the nearest.
    hits: how many people of the gallery a non-mated probe matches at α.
    """

    enrolled: int
    mated_right: Distances
    mated_wrong: Distances
    non_mated: Distances
    hits: NDArray[np.int64]


def search(templates: Templates, alpha: float) -> Search:
    """Enrol people with several photos by the first usable one, and search for all others."""
    gallery, mated, non_mated = [], [], []
    for _, group in groupby(sorted(templates.rows), key=person):
        photos = list(group)
        if len(photos) == 1:
            non_mated += photos
            continue
        enrolment = next((photo for photo in photos if templates.usable(photo)), photos[0])
        gallery.append(enrolment)
        mated += [photo for photo in photos if photo != enrolment]
    distances = templates.compare_all(mated, gallery)
    nearest = distances.argmin(axis=1)
    own = np.array([person(gallery[i]) == person(p) for i, p in zip(nearest, mated, strict=True)])
    least = distances.min(axis=1)
    strangers = templates.compare_all(non_mated, gallery)
    return Search(
        enrolled=len(gallery),
        mated_right=np.where(own, least, np.inf),
        mated_wrong=np.where(own, np.inf, least),
        non_mated=strangers.min(axis=1),
        hits=(strangers < alpha).sum(axis=1),
    )


def person(photo: str) -> str:
    """Return the person a photo shows: LFW has a folder for each."""
    return photo.partition("/")[0]
