"""Compare a probe exactly with the records that the store holds."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee
from models.catalogue import FaceModel


def comparable(employees: Sequence[Employee], model: FaceModel) -> list[Employee]:
    """Return the employees whose vectors the model made."""
    wanted = model.name, model.dimension
    return [e for e in employees if (e.model, e.vectors.shape[1]) == wanted]


def ranked(
    employees: Sequence[Employee], probe: NDArray[np.float32], model: FaceModel
) -> list[tuple[Employee, float]]:
    """Return the employees and their distances, nearest first.

    The distance is that of the employee's nearest vector: L2 × `distance_scale`.

    employees: comparable with the model. probe: (dimension,) float32 of unit length.
    """
    found = [(each, _distance(each, probe, model.distance_scale)) for each in employees]
    return sorted(found, key=lambda each: each[1])


def _distance(employee: Employee, probe: NDArray[np.float32], scale: float) -> float:
    shortest = float(np.linalg.norm(employee.vectors - probe, axis=1).min())
    return shortest * scale if math.isfinite(shortest) else math.inf
