"""Compare a probe exactly with the records that the store holds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee
from models.catalogue import FaceModel

# docs/matching.md says how these numbers were chosen.
_RELATIVES = 2  # next people who are left out: relatives, or the same person under another id
_COHORT = 10  # people after them, who tell how near strangers are to this probe
COMPARED = 1 + _RELATIVES + _COHORT  # people whose distances decide a login

SEPARATES = 0.03
"""Minimum gap between the two nearest employees. Below it, the nearest is the right one in only
half of all cases (docs/self-measurement.md)."""

Ranked = Sequence[tuple[Employee, float]]
"""Employees and their plain distances, nearest first."""


def comparable(employees: Sequence[Employee], model: FaceModel) -> list[Employee]:
    """Return the employees who are enrolled under the model, with its vectors."""
    seen = (employee.under(model.name) for employee in employees)
    return [each for each in seen if each and each.vectors.shape[1] == model.dimension]


def in_groups(employees: Sequence[Employee], groups: frozenset[str] | None) -> Sequence[Employee]:
    """Return the employees who are in one of the groups; None means everybody."""
    if groups is None:
        return employees
    return [employee for employee in employees if groups.intersection(employee.profile.groups)]


def templates(employee: Employee) -> NDArray[np.float32]:
    """Return what probes are compared with: the employee's vectors, and the mean of several photos.

    Further photos of a person are nearer to the mean of several than to any one of them. Vectors
    that a client sent are not averaged, because nobody knows what they are of.
    (n or n + 1, dimension), of unit length.
    """
    vectors = employee.vectors
    if len(vectors) == 1 or not employee.from_photos:
        return vectors
    mean = vectors.sum(axis=0)
    return np.vstack((vectors, mean / np.linalg.norm(mean)))


def ranked(
    employees: Sequence[Employee], probe: NDArray[np.float32], model: FaceModel
) -> list[tuple[Employee, float]]:
    """Return the employees and their distances, nearest first.

    The distance of an employee is that of their nearest template: L2 × `distance_scale`.

    employees: comparable with the model. probe: (dimension,) float32 of unit length.
    """
    if not employees:
        return []
    rows = [templates(each) for each in employees]
    starts = np.cumsum([0, *map(len, rows[:-1])])
    distances = np.linalg.norm(np.concatenate(rows) - probe, axis=1)
    least = np.minimum.reduceat(distances, starts).astype(np.float64)
    least = np.where(np.isfinite(least), least * model.distance_scale, np.inf)
    return sorted(zip(employees, least.tolist(), strict=True), key=lambda each: each[1])


def identified(people: Ranked) -> tuple[Employee, float] | None:
    """Return the nearest employee and their normalised distance; None if there is nobody.

    people: at least the `COMPARED` nearest ones of the gallery.
    """
    if not people:
        return None
    return people[0][0], float(normalised(np.array([distance for _, distance in people])))


def is_ambiguous(people: Ranked) -> bool:
    """Return whether the two nearest employees are about as near as each other."""
    return len(people) > 1 and people[1][1] - people[0][1] < SEPARATES


def normalised(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each least distance, divided by the mean distance of its cohort if that is below 1.

    The cohort is the next nearest people. A probe that is near to many people is nobody's, so a
    match must be nearer than the cohort is. The result is never less than the plain distance, so it
    lets in nobody whom the plain distance refuses. It is the plain distance if few people are
    enrolled, as then nobody else is near. docs/matching.md names the sources and shows the gain.

    distances: (..., n) from each probe to people, n ≥ 1; only the `COMPARED` least ones matter.
    """
    ordered = np.sort(distances, axis=-1)[..., :COMPARED]
    least: NDArray[np.float64] = ordered[..., 0]
    if ordered.shape[-1] < COMPARED:
        return least
    mean = np.minimum(ordered[..., 1 + _RELATIVES :].mean(axis=-1), 1)
    return np.where(mean > 0, least / np.where(mean > 0, mean, 1), 1)
