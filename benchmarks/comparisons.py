"""Make the distances that error rates count from the photos of LFW."""

import csv
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.evaluation.rates import Distances
from app.evaluation.templates import Templates
from app.evaluation.templates import embed as embed_photos
from app.recognition.recogniser import Recogniser


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distances in one of LFW's lists of pairs."""

    photos: list[str]
    mated: Distances
    non_mated: Distances


def embed(recogniser: Recogniser, folder: Path) -> Templates:
    """Return the feature vectors of all photos below the folder."""
    photos = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.jpg"))
    return embed_photos(photos, folder, recogniser.for_login, recogniser.model)


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
