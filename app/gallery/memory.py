"""The gallery in memory: every vector is compared with the probe."""

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray


class MemoryIndex:
    """Exact search over one float32 matrix, four bytes a number.

    Rows are kept dense: a removed row is filled with the last one.
    """

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((1024, dimension), np.float32)
        self._owners = np.empty(1024, np.int64)
        self._count = 0
        self._rows: dict[int, list[int]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def employees(self) -> list[int]:
        with self._lock:
            return list(self._rows)

    def put(self, employee_id: int, vectors: NDArray[np.float32]) -> None:
        with self._lock:
            self._drop(employee_id)
            start, self._count = self._count, self._count + len(vectors)
            self._make_room(self._count)
            self._vectors[start : self._count] = vectors
            self._owners[start : self._count] = employee_id
            self._rows[employee_id] = list(range(start, self._count))

    def remove(self, employee_ids: Sequence[int]) -> None:
        with self._lock:
            for employee_id in employee_ids:
                self._drop(employee_id)

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[int]:
        with self._lock:
            similarity = self._vectors[: self._count] @ probe
            owners = self._owners[: self._count].copy()
        wanted = count
        while True:
            wanted = min(wanted, len(owners))
            rows = np.argpartition(-similarity, wanted - 1)[:wanted] if wanted else np.arange(0)
            ordered = owners[rows[np.argsort(-similarity[rows], kind="stable")]]
            employees = list(dict.fromkeys(ordered.tolist()))
            if len(employees) >= count or wanted == len(owners):
                return employees[:count]
            wanted *= 4

    def _make_room(self, count: int) -> None:
        if count > len(self._owners):
            room = max(count, 2 * len(self._owners))
            vectors = np.empty((room, self._vectors.shape[1]), np.float32)
            vectors[: len(self._vectors)] = self._vectors
            self._vectors = vectors
            self._owners = np.resize(self._owners, room)

    def _drop(self, employee_id: int) -> None:
        for row in sorted(self._rows.pop(employee_id, ()), reverse=True):
            self._count -= 1
            last = self._count
            if row != last:
                owner = int(self._owners[last])
                self._vectors[row], self._owners[row] = self._vectors[last], owner
                moved = self._rows[owner]
                moved[moved.index(last)] = row
