"""Make the distances that error rates count from the photos of LFW."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

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
    templates: Templates, enrolled: int, draws: int, measure: Callable[[Distances], Distances]
) -> Search:
    """Enrol random people with one photo each, and search for another photo of each.

    Everybody else is searched for with one photo, as a stranger.

    draws: how often to begin again with other people and photos. measure: returns the distance
    (n,) to the nearest person, given those (n, people) to all.
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
        nearest = measure(distances)
        right.append(np.where(own, nearest, np.inf))
        wrong.append(np.where(own, np.inf, nearest))
        distances = templates.compare_all(strangers, gallery)
        non_mated.append(measure(distances))
    return Search(enrolled, draws, *map(np.concatenate, (right, wrong, non_mated)))


def person(photo: str) -> str:
    """Return the person a photo shows: LFW has a folder for each."""
    return photo.partition("/")[0]
