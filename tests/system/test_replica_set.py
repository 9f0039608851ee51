"""A replica set of three: its primary is killed, or most of it is gone."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from app.settings import Settings
from app.storage.mongodb.store import MongoStore
from testbed.crowd import STRICT, Crowd, Face, faces, request
from testbed.mongod import Mongod, ReplicaSet
from testbed.serving import RunningService

pytestmark = pytest.mark.mongod

TIMEOUT_S = 2.0


@pytest.fixture
def replica_set() -> Iterator[ReplicaSet]:
    with ReplicaSet() as members:
        yield members


def environment(replica_set: ReplicaSet, **more: str) -> dict[str, str]:
    url = replica_set.url.replace("/?", "/people?")
    return STRICT | {"MONGO_DB_URL": url, "MONGO_DB_TIMEOUT_S": f"{TIMEOUT_S:g}"} | more


def test_a_primary_that_is_killed_costs_no_acknowledged_write(
    tmp_path: Path, replica_set: ReplicaSet
) -> None:
    with RunningService(tmp_path, **environment(replica_set)) as service:
        crowd = Crowd([service], faces(12), employees=6)
        primary = replica_set.primary()

        def kill() -> None:
            time.sleep(0.5)
            primary.kill()

        killer = Thread(target=kill)
        killer.start()
        crowd.run(320, clients=8)
        killer.join()
        service.wait_ready()
        primary.start()
        crowd.run(160, clients=8)
        crowd.look()
    assert crowd.wrong == []
    assert crowd.impossible() == []
    assert crowd.slowest_undecided_s() < TIMEOUT_S + 1.5


def ask(service: RunningService, employee_id: int, kind: str, face: Face) -> int:
    method, path, body = request(employee_id, kind, face)
    return service.call(method, path, json=body).status_code


def test_people_log_in_from_a_secondary_where_that_is_allowed(
    tmp_path: Path, replica_set: ReplicaSet
) -> None:
    known, newest, stranger = faces(3)
    allowed = environment(replica_set, MONGO_DB_READ_FROM_SECONDARY="true")
    with (
        RunningService(tmp_path, **allowed) as service,
        RunningService(tmp_path, **environment(replica_set)) as strict,
    ):
        assert ask(service, 1, "enrol", known) == 200
        primary = replica_set.primary()
        other, survivor = (m for m in replica_set.members if m is not primary)
        _wait_until_found(survivor, 1)
        with survivor.lagging():
            assert ask(service, 2, "enrol", newest) == 200
            assert ask(service, 2, "login", newest) == 200
            primary.kill()
            other.kill()
            assert strict.wait_for("/readyz", 503).status_code == 503
            _wait_until(service, known)
            for _ in range(3):
                assert ask(service, 1, "login", known) == 200
                assert ask(service, 3, "login", stranger) == 406
                assert ask(service, 2, "login", newest) in (406, 503)
            assert service.call("GET", "/readyz").status_code == 200
            settings = Settings(
                mongo_db_url=allowed["MONGO_DB_URL"], mongo_db_read_from_secondary=True
            )
            with closing(MongoStore.connect(settings)) as store:
                assert store.count() > 0  # with Milvus, /readyz asks for it
            assert ask(service, 3, "enrol", stranger) == 503
            assert ask(strict, 1, "login", known) == 503
        primary.start()
        other.start()
        strict.wait_ready()
        for each in (service, strict):
            assert [ask(each, 1, "login", face) for face in (known, newest)] == [200, 200]
        assert ask(service, 4, "delete", known) == 200
        assert ask(service, 1, "delete", known) == 200
        assert ask(service, 1, "login", known) == 406
        assert "reading the whole store" not in service.log


def _wait_until_found(member: Mongod, employee_id: int) -> None:
    with member.client() as client:
        users = client["people"]["users"]
        while users.find_one({"_id": employee_id}) is None:
            time.sleep(0.05)


def _wait_until(service: RunningService, face: Face) -> None:
    """Until the service knows that there is no primary any more."""
    deadline = time.monotonic() + 20
    while ask(service, 1, "login", face) != 200:
        assert time.monotonic() < deadline
