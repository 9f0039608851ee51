"""Many clients on several processes with one index in Milvus: no answer that a model forbids."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from testbed.crowd import STRICT, Crowd, faces
from testbed.killing import workers_being_killed
from testbed.milvus import MilvusServer
from testbed.mongod import Mongod
from testbed.serving import RunningService

OPERATIONS = 320


@pytest.fixture
def services(
    request: pytest.FixtureRequest, tmp_path: Path, milvus: MilvusServer
) -> Iterator[list[RunningService]]:
    """Two processes, one of them with two workers."""
    variables = {
        "GALLERY_INDEX": "milvus",
        "MILVUS_URI": milvus.uri,
        "MILVUS_COLLECTION": f"t{uuid4().hex}",
        "MILVUS_TIMEOUT_S": "20",
        "LOG_LEVEL": "info",
    } | STRICT
    if request.node.get_closest_marker("mongod"):
        mongod: Mongod = request.getfixturevalue("mongod")
        variables["MONGO_DB_URL"] = f"{mongod.address}/{request.getfixturevalue('database')}"
        variables["MONGO_DB_TIMEOUT_S"] = "20"
    with (
        RunningService(tmp_path, **variables) as one,
        RunningService(tmp_path, WORKERS="2", **variables) as two,
    ):
        two.wait_workers(2)
        yield [one, two]


@pytest.mark.parametrize(
    "killed",
    [
        pytest.param(False, id="sqlite"),
        pytest.param(True, marks=pytest.mark.mongod, id="mongodb, workers killed"),
    ],
)
def test_no_answer_is_impossible(services: list[RunningService], killed: bool) -> None:
    crowd = Crowd(services, faces(12), employees=6, seed=killed)
    if killed:
        with workers_being_killed(services[1], pause_s=1.5):
            crowd.run(OPERATIONS)
    else:
        crowd.run(OPERATIONS)
        # a 503 is no wrong answer, but must be rare
        assert crowd.undecided < OPERATIONS / 50, crowd.open
    crowd.must_be_right()
