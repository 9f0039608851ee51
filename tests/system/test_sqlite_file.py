"""The SQLite file beneath a service: whole after a stop, noticed if gone, replaced, or full."""

import os
import resource
import shutil
import signal
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.sqlite.store import SqliteStore
from testbed.employees import someone
from testbed.serving import RunningService
from tests.support.features import random_vector


def enrol(service: RunningService, employee_id: int) -> int:
    body = {"name": "Ada", "surname": "Byron", "img_features": [random_vector(employee_id)]}
    return service.call("POST", f"/api/store/{employee_id}", json=body).status_code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_after_a_clean_stop_everything_is_in_the_one_file(tmp_path: Path, workers: str) -> None:
    with RunningService(tmp_path, WORKERS=workers) as service:
        for employee_id in range(20):
            assert enrol(service, employee_id) == 200
        assert service.stop() == 0
    copy = tmp_path / "copy.db"
    shutil.copyfile(tmp_path / "employees.db", copy)
    with closing(SqliteStore(copy)) as restored:
        assert [found.employee_id for found in restored.read_all()] == list(range(20))


def test_a_file_that_is_replaced_beneath_the_service_is_served_after_a_restart(
    tmp_path: Path,
) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(backup)) as store:
        store.add(someone(7))
    with RunningService(tmp_path, WORKERS="2") as service:
        service.wait_workers(2)
        assert enrol(service, 1) == 200
        path.rename(tmp_path / "former.db")
        shutil.copyfile(backup, path)
        for _ in range(8):
            assert enrol(service, 2) == 503
            assert service.call("GET", "/api/get_all/30/1").status_code == 503
            assert service.call("GET", "/readyz").status_code == 503
        assert "unusable: it was replaced while the service was running" in service.log
        assert service.stop() == 0
    with closing(SqliteStore(tmp_path / "former.db")) as former:
        assert [found.employee_id for found in former.read_all()] == [1]
    with RunningService(tmp_path) as service:
        listed = service.call("GET", "/api/get_all/30/1").json()["users"]
        assert [user["_id"] for user in listed] == [7]


def test_a_worker_that_replaces_another_makes_no_file(tmp_path: Path) -> None:
    """The service ends instead of enrolling people where nobody will look for them."""
    path, elsewhere = tmp_path / "employees.db", tmp_path / "elsewhere.db"
    with RunningService(tmp_path, WORKERS="2") as service:
        service.wait_workers(2)
        assert enrol(service, 1) == 200
        path.rename(elsewhere)
        os.kill(service.workers()[0], signal.SIGKILL)
        assert service.process.wait(30) != 0
        assert f"Cannot start: there is no SQLite file {path} (SQLITE_PATH)" in service.log
    assert not path.exists()
    elsewhere.rename(path)
    with closing(SqliteStore(path)) as store:
        assert store.count() == 1


def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with RunningService(tmp_path) as service:
        (worker,) = service.workers()
        assert enrol(service, 0) == 200
        # as if the disk were full: no file may grow beyond this size
        limit = path.with_name("employees.db-wal").stat().st_size + 200_000
        _, most = resource.prlimit(worker, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        answers = [enrol(service, employee_id) for employee_id in range(1, 100)]
        assert answers.count(503) > 10
        assert set(answers) == {200, 503}
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, most))
        assert enrol(service, 100) == 200
        service.kill()
    acknowledged = {0, 100} | {number for number, answer in enumerate(answers, 1) if answer == 200}
    with closing(SqliteStore(path)) as store:
        assert acknowledged <= {found.employee_id for found in store.read_all()}
