"""Make large galleries to search, and probes whose mates are in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from benchmarks.comparisons import embed, person
from models.catalogue import Catalogue
from models.runtime import choose_runtime

Vectors = NDArray[np.float32]
_BATCH = 50_000  # vectors handled at a time, to bound the memory


@dataclass(frozen=True, slots=True)
class Gallery:
    """One vector a person.

    vectors: (people, dimension), probes: (probes, dimension), both of unit length.
    mates: (probes,) the row of each probe's mate. scale: the model's distance_scale.
    """

    origin: str
    vectors: Vectors
    probes: Vectors
    mates: NDArray[np.intp]
    scale: float

    def distances(self, rows: NDArray[np.intp]) -> Vectors:
        """Return the distance from each probe to one row. rows: (probes,) the row for each."""
        cosines = np.vecdot(self.vectors[rows], self.probes)
        distances: Vectors = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * self.scale
        return distances

    def nearest(self) -> NDArray[np.intp]:
        """Return the row nearest to each probe, (probes,)."""
        best = np.full(len(self.probes), -np.inf)
        rows = np.zeros(len(self.probes), np.intp)
        for start in range(0, len(self.vectors), _BATCH):
            products = self.vectors[start : start + _BATCH] @ self.probes.T
            highest = products.max(axis=0)
            better = highest > best
            best[better] = highest[better]
            rows[better] = start + products.argmax(axis=0)[better]
        return rows


def drawn(dimension: int, people: int, probes: int) -> Gallery:
    """Return a random gallery, whose people are spread as unevenly as faces are.

    The cosine of two people has a standard deviation near 0.13, which puts about one pair in ten
    thousand nearer than 1.0. The distances of mates are uniform from 0.3 to 1.0.
    """
    generator = np.random.default_rng(dimension)
    spread = (np.arange(1, dimension + 1) ** -0.45).astype(np.float32)
    basis = np.linalg.qr(generator.standard_normal((dimension, dimension)))[0].astype(np.float32)
    vectors = np.empty((people, dimension), np.float32)
    for start in range(0, people, _BATCH):
        part = vectors[start : start + _BATCH]
        part[:] = _unit(generator.standard_normal(part.shape, np.float32) * spread @ basis)
    mates = generator.permutation(people)[:probes]
    cosines = 1 - generator.uniform(0.3, 1.0, (len(mates), 1)) ** 2 / 2
    away = generator.standard_normal((len(mates), dimension), np.float32) * np.sqrt(spread) @ basis
    away -= np.vecdot(away, vectors[mates])[:, None] * vectors[mates]
    near = cosines * vectors[mates] + np.sqrt(1 - cosines**2) * _unit(away)
    return Gallery("drawn", vectors, _unit(near), mates, 1.0)


def photographed(faces: Path, models_dir: Path, people: int, probes: int, cache: Path) -> Gallery:
    """Return a gallery of everybody's first photo below `faces`, and of random people.

    The random ones have the mean and covariance of the photos. The probes are the other photos. The
    vectors are those of the dlib model, cached in `cache`.
    """
    model = Catalogue(models_dir).get("dlib")
    photos, names = photo_vectors(faces, models_dir, cache)
    _, firsts, identities = np.unique(names, return_index=True, return_inverse=True)
    generator = np.random.default_rng(128)
    enrolled = firsts[:people]
    spread = np.linalg.cholesky(np.cov(photos[firsts].T) + 1e-9 * np.eye(photos.shape[1]))
    centre = photos[firsts].mean(axis=0)
    vectors = np.empty((people, photos.shape[1]), np.float32)
    vectors[: len(enrolled)] = photos[enrolled]
    for start in range(len(enrolled), people, _BATCH):
        part = vectors[start : start + _BATCH]
        part[:] = _unit(centre + generator.standard_normal(part.shape) @ spread.T)
    others = np.setdiff1d(np.flatnonzero(identities < len(enrolled)), firsts)
    probed = generator.permutation(others)[:probes]
    order = generator.permutation(people)  # so that photos do not come first
    mates = np.argsort(order)[identities[probed]]
    origin = f"{len(enrolled)} from photos, the others drawn from how those spread"
    return Gallery(origin, vectors[order], photos[probed], mates, model.distance_scale)


def photo_vectors(faces: Path, models_dir: Path, cache: Path) -> tuple[Vectors, NDArray[np.str_]]:
    """Return the dlib vectors of all photos with a face below `faces`, and whose each is."""
    if not cache.exists():
        runtime = choose_runtime("cpu")
        recogniser = Recogniser(runtime, Catalogue(models_dir).get("dlib"), PictureRequirements())
        templates = embed(recogniser, faces)
        usable = [photo for photo in templates.rows if templates.usable(photo)]
        vectors = templates.vectors[[templates.rows[photo] for photo in usable]]
        cache.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cache.with_suffix(".tmp.npz")
        np.savez(
            unfinished,
            vectors=vectors.astype(np.float32),
            names=np.array([person(photo) for photo in usable]),
        )
        unfinished.replace(cache)
    stored = np.load(cache)
    return stored["vectors"], stored["names"]


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
