"""Compare a probe exactly with the records that the store holds."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee
from models.catalogue import FaceModel

# docs/matching.md says how these numbers were chosen.
_RELATIVES = 2  # next people who are left out: relatives, or the same person under another id
_COHORT = 10  # people after them, who tell how near strangers are to this probe
COMPARED = 1 + _RELATIVES + _COHORT  # people whose distances decide a login


def comparable(employees: Sequence[Employee], model: FaceModel) -> list[Employee]:
    """Return the employees whose vectors the model made."""
    wanted = model.name, model.dimension
    return [e for e in employees if (e.model, e.vectors.shape[1]) == wanted]


def nearest(
    employees: Sequence[Employee], probe: NDArray[np.float32], model: FaceModel
) -> tuple[Employee, float] | None:
    """Return the nearest employee and their normalised distance; None if there are no employees.

    The distance of an employee is that of their nearest vector: L2 × `distance_scale`.

    employees: comparable with the model; at least the `COMPARED` nearest ones of the gallery.
    probe: (dimension,) float32 of unit length.
    """
    if not employees:
        return None
    distances = np.array([_distance(e, probe, model.distance_scale) for e in employees])
    return employees[int(np.argmin(distances))], normalised(distances)


def normalised(distances: NDArray[np.float64]) -> float:
    """Return the least distance, divided by the cohort's mean distance if that is below 1.

    The cohort is the next nearest people. A probe that is near to many people is nobody's, so a
    match must be nearer than the cohort is. The result is at least the plain distance, so nobody is
    let in whom that refuses. It is the plain distance if few people are enrolled, as then nobody
    else is near. docs/matching.md names the sources and shows the gain.

    distances: (n,) from the probe to people, n ≥ 1; only the `COMPARED` least ones matter.
    """
    ordered = np.sort(distances)[:COMPARED]
    least, cohort = float(ordered[0]), ordered[1 + _RELATIVES :]
    if len(cohort) < _COHORT or not (mean := float(cohort.mean())) < 1:
        return least
    return least / mean if mean else 1.0


def _distance(employee: Employee, probe: NDArray[np.float32], scale: float) -> float:
    shortest = float(np.linalg.norm(employee.vectors - probe, axis=1).min())
    return shortest * scale if math.isfinite(shortest) else math.inf
