"""Many clients on several workers, some of which are killed: no answer that a model forbids."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.crowd import STRICT, Crowd, faces
from tests.mongod import Mongod
from tests.serving import RunningService

OPERATIONS = 480


@contextmanager
def workers_being_killed(service: RunningService, pause_s: float, seed: int = 0) -> Iterator[None]:
    """A worker chosen at random is killed again and again; gunicorn starts another."""
    over = Event()
    choose = random.Random(seed)

    def kill() -> None:
        while not over.wait(pause_s):
            with suppress(ProcessLookupError, IndexError):
                os.kill(choose.choice(service.workers()), signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    """Two workers."""
    variables = {"WORKERS": "2", "LOG_LEVEL": "warning"} | STRICT
    if request.param == "mongodb":
        mongod: Mongod = request.getfixturevalue("mongod")
        variables["MONGO_DB_URL"] = f"{mongod.address}/{request.getfixturevalue('database')}"
    with RunningService(tmp_path, **variables) as service:
        yield service


@pytest.mark.parametrize("killed", [False, True], ids=["", "workers-killed"])
def test_no_answer_is_impossible(service: RunningService, killed: bool) -> None:
    crowd = Crowd([service], faces(12), employees=6, seed=killed)
    if killed:
        with workers_being_killed(service, pause_s=1.5):
            crowd.run(OPERATIONS)
    else:
        crowd.run(OPERATIONS)
        assert not [answer for answer in crowd.answers if answer[1] is None]
    time.sleep(0.1)
    service.wait_ready()
    crowd.look()
    assert crowd.wrong == []
    assert crowd.impossible() == []
    assert {"enrol", "replace", "delete", "login"} == {
        kind for kind, answer in crowd.answers if answer == 200
    }
