"""The exact comparison of a probe with the records that the store holds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee


@dataclass(frozen=True, slots=True)
class Comparison:
    """How vectors of one model are compared.

    dimension: their length. distance_scale: what their L2 distances are multiplied with.
    """

    model: str
    dimension: int
    distance_scale: float

    def comparable(self, employees: Sequence[Employee]) -> list[Employee]:
        """Those whose vectors the model made."""
        wanted = self.model, self.dimension
        return [e for e in employees if (e.model, e.vectors.shape[1]) == wanted]

    def nearest(
        self, employees: Sequence[Employee], probe: NDArray[np.float32]
    ) -> tuple[Employee, float] | None:
        """The nearest of comparable employees and their distance; None where there are none."""
        if not employees:
            return None
        distances = [self._distance(employee, probe) for employee in employees]
        best = int(np.argmin(distances))
        return employees[best], distances[best]

    def _distance(self, employee: Employee, probe: NDArray[np.float32]) -> float:
        least = float(np.linalg.norm(employee.vectors - probe, axis=1).min())
        return least * self.distance_scale if math.isfinite(least) else math.inf
