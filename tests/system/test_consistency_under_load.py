"""Many clients on several workers, some of which are killed: no answer that a model forbids."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.crowd import STRICT, Crowd, faces
from testbed.killing import workers_being_killed
from testbed.mongod import Mongod
from testbed.serving import RunningService

OPERATIONS = 480


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    """Two workers."""
    variables = {"WORKERS": "2", "LOG_LEVEL": "info"} | STRICT
    if request.param == "mongodb":
        mongod: Mongod = request.getfixturevalue("mongod")
        variables["MONGO_DB_TIMEOUT_S"] = "20"
        variables["MONGO_DB_URL"] = f"{mongod.address}/{request.getfixturevalue('database')}"
    with RunningService(tmp_path, **variables) as service:
        service.wait_workers(2)
        yield service


@pytest.mark.parametrize("killed", [False, True], ids=["", "workers-killed"])
def test_no_answer_is_impossible(service: RunningService, killed: bool) -> None:
    crowd = Crowd([service], faces(12), employees=6, seed=killed)
    if killed:
        with workers_being_killed(service, pause_s=1) as dead:
            crowd.run(OPERATIONS)
        assert dead
    else:
        crowd.run(OPERATIONS)
        # a 503 is no wrong answer, but must be rare
        assert crowd.undecided < OPERATIONS / 50, crowd.open
    crowd.must_be_right()
