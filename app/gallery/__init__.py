"""Feature vectors → the nearest employees. An index only proposes; the store's records decide."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class GalleryIndex(Protocol):
    """Searches the gallery. All methods are thread-safe.

    A search that overlaps an update may still propose what the update took away, but never misses
    an employee who is in the index before and after it.

    dimension: the length of its vectors.
    """

    dimension: int

    def put(self, employee_id: int, vectors: NDArray[np.float32]) -> None:
        """Add an employee, or replace all of their vectors: (n, dimension) of unit length."""

    def put_many(self, owners: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Put many employees at once, some thousand vectors for each call.

        owners: (n,) the employee id of each vector. vectors: (n, dimension) of unit length.
        """

    def remove(self, employee_ids: Sequence[int]) -> None:
        """Forget employees; unknown ones are passed over."""

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[int]:
        """The `count` employees nearest to the probe (dimension,), the nearest first."""

    def employees(self) -> list[int]:
        """The ids of all employees in the index."""

    def __len__(self) -> int:
        """How many employees are in the index."""
