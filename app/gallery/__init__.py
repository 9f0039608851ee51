"""Feature vectors → the nearest employees. An index only proposes; the store's records decide."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class GalleryIndex(Protocol):
    """Searches the gallery. All methods are thread-safe."""

    def put(self, employee_id: int, vectors: NDArray[np.float32]) -> None:
        """Add an employee, or replace all of their vectors: (n, dimension) of unit length."""

    def remove(self, employee_ids: Sequence[int]) -> None:
        """Forget employees; unknown ones are passed over."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[int]:
        """The `count` employees nearest to the probe (dimension,), the nearest first."""

    def employees(self) -> list[int]:
        """The ids of all employees in the index."""

    def __len__(self) -> int:
        """How many employees are in the index."""
