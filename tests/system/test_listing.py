"""Many large pages of employees at once leave room for others."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from app.storage.sqlite.store import SqliteStore
from testbed.employees import someone
from testbed.serving import RunningService

VECTORS = 100  # as many as an employee may have

DIMENSION = 512


def fill(path: Path, employees: int) -> None:
    """Store people with as many and as long vectors as may be."""
    store = SqliteStore(path)
    for employee_id in range(employees):
        employee = someone(employee_id, dimension=DIMENSION)
        vectors = np.repeat(employee.vectors[:1], VECTORS, axis=0)
        store.add(type(employee)(employee_id, "Ada", "Byron", vectors, "facenet-other"))
    store.close()


def test_many_large_listings_at_once_leave_room_for_others(tmp_path: Path) -> None:
    fill(tmp_path / "employees.db", 20)
    with RunningService(tmp_path, ready=False, THREADS="8", LOG_LEVEL="info") as service:
        service.wait_for("/healthz", 200)
        with ThreadPoolExecutor(24) as clients:
            listed = [clients.submit(service.call, "GET", "/api/get_all/20/1") for _ in range(20)]
            for _ in range(5):
                assert service.call("GET", "/healthz", timeout=2).status_code == 200
            statuses = {answer.result().status_code for answer in listed}
    assert statuses == {200, 503}
