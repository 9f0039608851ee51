"""Backup and restore while services use the store."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event

from app.storage.sqlite.store import SqliteStore
from testbed.employees import fill, ids, someone
from testbed.serving import ROOT, RunningService, environment
from tests.support import sent_photos as photos
from tests.support.backups import done
from tests.support.features import random_vector

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}

GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}


@contextmanager
def enrolling(service: RunningService) -> Iterator[list[int]]:
    """Four clients enrol all the time; the list is of those who are acknowledged."""
    over, acknowledged = Event(), list[int]()

    def enrol(client: int) -> None:
        number = client
        while not over.is_set():
            body = {"name": "x", "surname": "y", "img_features": [random_vector(10_000 + number)]}
            answer = service.call("POST", f"/api/store/{1_000 + number}", json=body)
            assert answer.status_code == 200, answer.text
            acknowledged.append(1_000 + number)
            number += 4

    with ThreadPoolExecutor(4) as clients:
        running = [clients.submit(enrol, client) for client in range(4)]
        try:
            yield acknowledged
        finally:
            over.set()
        for each in running:
            each.result()


def test_a_backup_under_load_holds_everyone_acknowledged_before(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with closing(SqliteStore(path)):
        fill(path, (someone(number, dimension=128) for number in range(900)))
    with ExitStack() as running:
        service = running.enter_context(RunningService(tmp_path, WORKERS="2"))
        service.wait_workers(2)
        acknowledged = running.enter_context(enrolling(service))
        while len(acknowledged) < 20:
            Event().wait(0.01)
        before = list(acknowledged)
        said = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "entry", "backup", str(backup)],
            cwd=ROOT,
            env=environment(SQLITE_PATH=str(path)),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        behind = len(acknowledged) - len(before)
    with closing(SqliteStore(backup)) as copy:
        there = ids(copy.read_all())
    assert set(before) | set(range(900)) <= set(there)
    assert behind > 0  # it kept nobody waiting
    assert said == f"{len(there)} employees of sqlite:{path} are in {backup}.\n"
    assert backup.stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in tmp_path.glob("*backup*")) == ["backup.db"]


def test_what_is_restored_is_served_at_once_by_every_worker(tmp_path: Path) -> None:
    path, backup = tmp_path / "employees.db", tmp_path / "backup.db"
    with RunningService(tmp_path, WORKERS="2") as service:
        service.wait_workers(2)
        assert service.call("POST", "/api/store/1", json=EILEEN).status_code == 200
        assert done("backup", backup, path).startswith("1 employee ")
        assert service.call("DELETE", "/api/1").status_code == 200
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        assert done("restore", backup, path) == (
            f"sqlite:{path} now holds the 1 employee of {backup}, and nobody else.\n"
        )
        for _ in range(8):
            eileen = {"image_base64": photos.astronaut()}
            assert service.call("POST", "/api/find_match", json=eileen).json()["_id"] == 1
            grace = {"image_base64": photos.admiral()}
            assert service.call("POST", "/api/find_match", json=grace).status_code == 406
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        for _ in range(4):
            assert service.call("POST", "/api/find_match", json=grace).json()["_id"] == 2
