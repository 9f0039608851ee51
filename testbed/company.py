"""A small company: people with made-up faces, enrolled over HTTP."""

from collections.abc import Mapping

import numpy as np

from testbed.employees import alike
from testbed.serving import RunningService

FIRST = 1001  # the lowest number
TWICE = 2  # people who have a second number
_NAMES = (
    "Ada",
    "Alan",
    "Annie",
    "Barbara",
    "Claude",
    "Dorothy",
    "Edsger",
    "Frances",
    "Hedy",
    "Joan",
)
_SURNAMES = ("Lovelace", "Turing", "Easley", "Liskov", "Shannon", "Vaughan", "Dijkstra", "Allen")
_GROUPS = ("site-a", "site-b", "lab")
_APART = 0.1  # distance of the two numbers of one person


def found(service: RunningService, people: int, headers: Mapping[str, str] | None = None) -> None:
    """Enrol that many people, who differ about as real faces do, and TWICE of them again."""
    vectors = alike(people)
    for at, vector in enumerate([*vectors, *map(_again, vectors[:TWICE])]):
        who = at % people
        body = {
            "name": _NAMES[who % len(_NAMES)],
            "surname": _SURNAMES[who // len(_NAMES) % len(_SURNAMES)],
            "groups": [_GROUPS[who % len(_GROUPS)]],
            "feature_vectors": [vector.tolist()] * (1 + at % 4 // 3),
            "allow_similar": True,
        }
        path = f"/api/v2/employees/{FIRST + at}"
        answer = service.call("PUT", path, json=body, headers=dict(headers or {}))
        assert answer.status_code == 201, answer.text


def _again(vector: np.ndarray) -> np.ndarray:
    moved = vector + _APART / np.sqrt(len(vector))
    unit: np.ndarray = moved / np.linalg.norm(moved)
    return unit
