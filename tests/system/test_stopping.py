"""However the service is told to stop, it ends soon and in good order."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from app.storage.sqlite.store import SqliteStore
from testbed.serving import RunningService
from tests.support.features import random_vector


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_soon_and_leaves_everybody_in_the_one_file(tmp_path: Path, told: int) -> None:
    body = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}
    with RunningService(tmp_path, WORKERS="2") as service:
        service.wait_workers(2)
        assert service.call("POST", "/api/store/1", json=body).status_code == 200
        began = time.monotonic()
        service.process.send_signal(told)  # to gunicorn's first process alone
        service.process.wait(timeout=15)
        assert time.monotonic() - began < 8
    copy = shutil.copyfile(tmp_path / "employees.db", tmp_path / "copy.db")
    assert SqliteStore(copy).count() == 1
