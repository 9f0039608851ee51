"""How rarely strangers come as near as this: a distance on a scale that people can read."""

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLES = Path(__file__).with_name("strangers.json")
"""For each model, distances and the shares of pairs of different people that are nearer.

`make accuracy` measures them.
"""


def comparison_score(model: str, distance: float) -> float | None:
    """Return the share of pairs of different people that come less near, in [0, 1].

    None if that was not measured for the model. It never says more than the pairs that were
    measured allow: nearer than the nearest of them, it stays below 1.
    """
    if (table := _tables().get(model)) is None:
        return None
    distances, shares = table
    logs = np.interp(distance, distances, np.log(shares))
    return round(1 - float(np.exp(logs)), 6)


@cache
def _tables() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    tables = json.loads(TABLES.read_text())
    return {
        model: (np.array(table["distances"]), np.array(table["shares"]))
        for model, table in tables.items()
    }
