"""Workers come and leave under load, and no client notices."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from testbed.serving import START_S, RunningService
from testbed.steady_clients import clients_at_work
from tests.support import sent_photos as photos

DRAIN_S = 1.0
LOGIN = "/api/find_match"
PROBE = photos.astronaut_again()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """Two workers, with one person enrolled."""
    with RunningService(tmp_path, WORKERS="2", DRAIN_S=str(DRAIN_S)) as service:
        service.wait_workers(2)
        body = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
        assert service.call("POST", "/api/store/1", json=body).status_code == 200
        yield service


def wait_until_gone(service: RunningService, workers: list[int]) -> None:
    deadline = time.monotonic() + START_S
    while set(service.workers()) & set(workers):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)


@pytest.mark.timed
@pytest.mark.parametrize("keep_alive", [True, False])
def test_workers_that_are_stopped_one_by_one_lose_nobody(
    service: RunningService, keep_alive: bool
) -> None:
    with clients_at_work(service.port, PROBE, keep_alive=keep_alive) as observed:
        for number, worker in enumerate(service.workers(), start=1):
            os.kill(worker, signal.SIGTERM)
            wait_until_gone(service, [worker])
            service.wait_workers(2 + number)
            time.sleep(0.5)
    assert observed.failures == Counter()
    assert observed.answered > 100
    assert service.log.count("worker is leaving") == service.log.count("worker has left") == 2


@pytest.mark.timed
@pytest.mark.parametrize("keep_alive", [True, False])
def test_replacing_all_workers_at_once_loses_nobody(
    service: RunningService, keep_alive: bool
) -> None:
    before = service.workers()
    with clients_at_work(service.port, PROBE, keep_alive=keep_alive) as observed:
        service.process.send_signal(signal.SIGHUP)
        service.wait_workers(4)
        wait_until_gone(service, before)
        time.sleep(0.5)
    assert observed.failures == Counter()
    assert observed.answered > 100


@pytest.mark.timed
def test_a_service_that_stops_turns_readyz_before_it_stops_listening(tmp_path: Path) -> None:
    with (
        RunningService(tmp_path, WORKERS="2", DRAIN_S="2") as service,
        requests.Session() as kept,
    ):
        service.wait_workers(2)
        kept.trust_env = False
        assert "Connection" not in kept.get(f"{service.url}/healthz").headers
        service.process.terminate()
        refused = service.wait_for("/readyz", 503, timeout_s=2)
        assert "the service is stopping" in refused.text
        began = time.monotonic()
        while time.monotonic() - began < 1:
            for answer in (kept.get(f"{service.url}/healthz"), service.call("GET", "/healthz")):
                assert answer.status_code == 200
                assert answer.headers["Connection"] == "close"
        assert service.process.wait(timeout=10) == 0
        with pytest.raises(requests.ConnectionError):
            service.call("GET", "/healthz")
    last = service.log.splitlines()[-1]
    assert "stopped" in last


@pytest.mark.timed
def test_what_is_in_progress_at_the_end_is_answered(tmp_path: Path) -> None:
    """A slow client that sends its last bytes after the worker has stopped listening."""
    with RunningService(tmp_path) as service:
        with requests.Session() as session:
            session.trust_env = False

            def body() -> Iterator[bytes]:
                yield b'{"img_base64": '
                service.process.terminate()
                time.sleep(1)
                yield b'"' + photos.astronaut().encode() + b'"}'

            answer = session.post(
                f"{service.url}{LOGIN}", data=body(), headers={"Content-Type": "application/json"}
            )
        assert (answer.status_code, answer.text) == (406, "no matches found")
        assert service.process.wait(timeout=10) == 0
