"""Ready means that a login can be answered; a process that is stuck is replaced."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.audit.chain import verify
from app.bootstrap import make_service
from app.limiter import Limiter
from app.watchdog import Watchdog
from testbed.serving import only, ready_app, wait_until_loaded

SLOTS = 2


def test_a_stuck_process_answers_503_to_healthz(tmp_path: Path) -> None:
    """For a process manager that asks over HTTP, where the process cannot end itself."""
    limiters: list[Limiter] = []
    ended = Event()

    def watch(limiter: Limiter) -> Watchdog:
        limiters.append(limiter)
        return Watchdog(limiter, longest_s=0.6, end=ended.set)

    settings = only(sqlite_path=tmp_path / "employees.db", max_in_flight=SLOTS)
    app = create_app(settings, make_service(settings, watch=watch))
    service = app.extensions["service"]
    wait_until_loaded(service)
    client = app.test_client()
    (limiter,) = limiters
    for _ in range(20):  # one after the other takes longer than the patience, none of them does
        with limiter:
            time.sleep(0.04)
            assert client.get("/healthz").status_code == 200
    assert not ended.is_set()
    with limiter:
        assert ended.wait(5)
        for path in ("/healthz", "/readyz"):
            refused = client.get(path)
            assert refused.status_code == 503
            assert "too long" in refused.text
    assert client.get("/healthz").status_code == 200
    service.stop()


def test_a_request_that_never_ends_is_noticed_too() -> None:
    """As one that waits for a disk that hangs, after its picture was looked at."""
    ended = Event()
    slots, requests = Limiter(1), Limiter(2)
    watchdog = Watchdog(slots, longest_s=0.12, end=ended.set)
    watchdog.watch(requests, longest_s=1.2)
    watchdog.start()
    with requests:
        with requests:
            time.sleep(0.5)
            assert watchdog.is_blocked
        assert not watchdog.is_blocked
        assert not watchdog.is_stuck
        assert ended.wait(5)
        assert watchdog.is_stuck
    assert not watchdog.is_stuck


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of a service that keeps an audit log in `audit.log`."""
    app = ready_app(tmp_path, audit_log=str(tmp_path / "audit.log"))
    yield app.test_client()
    app.extensions["service"].stop()


def test_an_audit_log_that_cannot_be_written_is_not_ready(
    audited: FlaskClient, tmp_path: Path
) -> None:
    path, aside = tmp_path / "audit.log", tmp_path / "audit.log.1"
    assert audited.get("/api/get_all/10/1").status_code == 200
    assert audited.get("/readyz").status_code == 200
    path.rename(aside)
    path.symlink_to("/dev/full")
    assert [audited.get("/api/get_all/10/1").status_code for _ in range(3)] == [503] * 3
    assert [audited.get("/readyz").status_code for _ in range(3)] == [503] * 3
    assert audited.get("/readyz").text == "the audit log is unavailable, try again"
    path.unlink()
    aside.rename(path)
    assert [audited.get("/readyz").status_code for _ in range(3)] == [200] * 3
    assert audited.get("/api/get_all/10/1").status_code == 200
    first, resumed, last = path.read_text().splitlines()
    assert '"action":"list"' in first
    assert '"action":"audit","outcome":"resumed"' in resumed
    assert '"missing":3' in resumed
    assert '"action":"list"' in last
    assert verify([path]).findings == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_noticed_before_an_entry_is_lost(small_disk: Path, tmp_path: Path) -> None:
    app = ready_app(tmp_path, audit_log=str(small_disk / "audit.log"))
    client = app.test_client()
    assert client.get("/readyz").status_code == 200
    (small_disk / "large").write_bytes(bytes(220 << 10))
    assert client.get("/readyz").status_code == 503
    (small_disk / "large").unlink()
    assert client.get("/readyz").status_code == 200
    app.extensions["service"].stop()
