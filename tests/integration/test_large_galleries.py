"""Large galleries in memory: coded vectors find whom exact ones find."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.memory_index import MemoryIndex
from app.gallery.rows import Sizes


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dimension", [128, 512, 700])
def test_large_galleries_find_mates_as_near_as_alpha_one(dimension: int) -> None:
    """Probes 0.3 to 1.0 from their mates, among people as unevenly spread as faces are."""
    generator = np.random.default_rng(7)
    spread = np.arange(1, dimension + 1) ** -0.45
    people = unit(generator.normal(size=(30_000, dimension)) * spread)
    index = MemoryIndex(dimension, Sizes(exact=1_000))
    for start in range(0, len(people), 4_096):
        part = people[start : start + 4_096]
        index.put(np.arange(start, start + len(part)), part)
    mates = generator.choice(len(people), 300, replace=False)
    distances = generator.uniform(0.3, 1.0, (300, 1))
    away = generator.normal(size=(300, dimension)) * spread
    away = unit(away - (away * people[mates]).sum(axis=1, keepdims=True) * people[mates])
    cosines = 1 - distances**2 / 2
    probes = unit(cosines * people[mates] + np.sqrt(1 - cosines**2) * away)

    nearest = (people @ probes.T).argmax(axis=0)

    assert (nearest == mates).mean() > 0.9
    missed = [n for n, p in zip(nearest, probes, strict=True) if n not in index.nearest(p, 8)]
    assert missed == []
