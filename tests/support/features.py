"""Feature vectors made up for tests, as clients send them in `img_features`."""

import numpy as np

from testbed import employees

DIMENSION = 128


def random_vector(seed: int) -> list[float]:
    """A unit vector; two of different seeds are far apart."""
    return _unit(np.random.default_rng(seed).normal(size=DIMENSION)).tolist()


def at_distance(vector: list[float], distance: float, seed: int = 0) -> list[float]:
    """A unit vector at that L2 distance of the unit vector, in a direction that the seed picks."""
    start = _unit(np.array(vector, np.float64))
    aside = np.random.default_rng(seed).normal(size=len(start))
    aside = _unit(aside - (aside @ start) * start)
    cosine = 1 - distance**2 / 2
    moved: list[float] = (cosine * start + np.sqrt(1 - cosine**2) * aside).tolist()
    return moved


def alike(number: int) -> list[list[float]]:
    """Unit vectors of people who differ so little that strangers get in at α 0.8."""
    return [vector.tolist() for vector in employees.alike(number)]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
