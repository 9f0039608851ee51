"""Who is deleted leaves nothing behind in any worker, file or log of the service."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.serving import RunningService
from tests.support.features import random_vector

PIECE = 16  # bytes; as long a run of a vector's bytes is nobody else's


def pieces(vectors: NDArray[np.float32]) -> Iterator[bytes]:
    data = vectors.tobytes()
    for start in range(0, len(data) - PIECE, PIECE * 5):
        yield data[start : start + PIECE]


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_service_forgets_in_every_worker_file_and_log(tmp_path: Path) -> None:
    """Over HTTP, with two workers and everything logged that can be."""
    vector = np.array(random_vector(1), np.float32)
    body = {"name": "Nameofsomebody", "surname": "Surnameofsomebody"}
    with RunningService(
        tmp_path,
        WORKERS="2",
        LOG_LEVEL="debug",
        AUDIT_LOG=str(tmp_path / "audit.log"),
    ) as service:
        service.wait_workers(2)
        stored = service.call(
            "POST", "/api/store/1", json=body | {"img_features": [vector.tolist()]}
        )
        assert stored.status_code == 200
        kept = service.call(
            "POST", "/api/store/2", json=body | {"img_features": [random_vector(2)]}
        )
        assert kept.status_code == 200
        data = files(tmp_path)
        assert b"Nameofsomebody" in data
        assert vector.tobytes()[:PIECE] in data
        for _ in range(8):  # so that both workers have them in their indexes
            assert service.call("GET", "/readyz").json()["employees"] == 2
        for employee_id in (1, 2):
            assert service.call("DELETE", f"/api/{employee_id}").status_code == 200
        for _ in range(8):
            assert service.call("GET", "/readyz").json()["employees"] == 0
        assert service.call("GET", "/api/employees/1/export").status_code == 404
        data = files(tmp_path)  # database, write-ahead log, service log, audit log
        assert b"Nameofsomebody" not in data
        assert b"Surnameofsomebody" not in data
        assert [piece for piece in pieces(vector) if piece in data] == []
        assert not re.search(rb"-?0\.\d{5,}, ?-?0\.\d{5,}", data)
