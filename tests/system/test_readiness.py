"""A process that is stuck is replaced."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from testbed.serving import ROOT, START_S, RunningService
from tests.support import sent_photos as photos
from tests.support.hanging_service import PATIENCE_S, SLOW_S

PHOTO = {"img_base64": photos.astronaut()}

SLOTS = 2


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service with two slots; one person is enrolled."""
    with RunningService(
        tmp_path,
        script="tests/support/hanging_service.py",
        PYTHONPATH=str(ROOT),
        MAX_IN_FLIGHT=str(SLOTS),
    ) as service:
        body = {"name": "Grace", "surname": "Hopper"} | PHOTO
        assert service.call("POST", "/api/store/1", json=body).status_code == 200
        yield service


def login(service: RunningService) -> int:
    """The status; 0 if no answer came."""
    try:
        return service.call("POST", "/api/find_match", json=PHOTO).status_code
    except requests.RequestException:
        return 0


@contextmanager
def told_to(service: RunningService, folder: Path, what: str, logins: int) -> Iterator[list[int]]:
    """So many logins that hang or are slow; their statuses are there at the end."""
    statuses: list[int] = []
    (folder / what).touch()
    with ThreadPoolExecutor(logins) as threads:
        asked = [threads.submit(login, service) for _ in range(logins)]
        deadline = time.monotonic() + START_S
        while len(list(folder.glob("begun-*"))) < logins:
            assert time.monotonic() < deadline, service.log
            time.sleep(0.02)
        (folder / what).unlink()
        yield statuses
        statuses += [each.result() for each in asked]


def replaced(service: RunningService, worker: int) -> None:
    deadline = time.monotonic() + START_S
    while service.workers() in ([], [worker]):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)


@pytest.mark.timed
def test_a_process_with_all_slots_stuck_is_replaced(
    service: RunningService, tmp_path: Path
) -> None:
    (worker,) = service.workers()
    with told_to(service, tmp_path, "hang", SLOTS) as hung:
        refused = service.wait_for("/readyz", 503, PATIENCE_S)
        assert "taking too long" in refused.text
        assert service.call("GET", "/healthz").status_code == 200
        replaced(service, worker)
    assert hung == [0] * SLOTS
    service.wait_ready()
    assert login(service) == 200
    assert "ending this process" in service.log


@pytest.mark.timed
def test_a_process_with_one_stuck_slot_answers_until_it_is_replaced(
    service: RunningService, tmp_path: Path
) -> None:
    (worker,) = service.workers()
    with told_to(service, tmp_path, "hang", 1):
        assert login(service) == 200
        assert service.call("GET", "/readyz").status_code == 200
        replaced(service, worker)
    service.wait_ready()
    assert login(service) == 200


@pytest.mark.timed
def test_a_process_that_was_suspended_is_not_replaced(
    service: RunningService, tmp_path: Path
) -> None:
    (worker,) = service.workers()
    with told_to(service, tmp_path, "slow", SLOTS) as slow:
        os.killpg(service.process.pid, signal.SIGSTOP)
        time.sleep(2 * PATIENCE_S)
        os.killpg(service.process.pid, signal.SIGCONT)
        time.sleep(SLOW_S / 2)
        assert service.workers() == [worker]
    assert slow == [200] * SLOTS
    time.sleep(PATIENCE_S / 4)
    assert service.workers() == [worker]
    assert service.call("GET", "/readyz").status_code == 200
    assert "ending this process" not in service.log
