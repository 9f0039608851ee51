"""A database that fails while the service runs: a quick 503, and all is well again afterwards."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from testbed import outages
from testbed.crowd import Face, faces
from testbed.mongod import Mongod, ReplicaSet
from testbed.outages import ENROLLED, PASSWORD, TIMEOUT_S, Course, Outage
from testbed.serving import RunningService

pytestmark = pytest.mark.mongod

SLACK_S = 1.5  # what busy cores may add; a second attempt would take TIMEOUT_S more


@pytest.fixture(scope="module")
def crowd() -> list[Face]:
    return faces(ENROLLED + 1)


def check(
    folder: Path,
    crowd: list[Face],
    outage: AbstractContextManager[object],
    url: str,
    **variables: str,
) -> None:
    with RunningService(folder, **outages.environment(url, **variables)) as service:
        check_course(outages.go_through(service, crowd, outage))


def check_course(course: Course) -> None:
    for call, (status, seconds) in course.answers.items():
        assert status == 503, call
        assert seconds < TIMEOUT_S + SLACK_S, call
    assert course.recovered_s < 15
    assert (course.found, course.repeated, course.listed) == (ENROLLED + 1, 200, 1)


def test_a_server_that_is_not_there_from_the_start(tmp_path: Path, crowd: list[Face]) -> None:
    with Mongod() as mongod:
        url = f"{mongod.address}/people"
        with RunningService(tmp_path, **outages.environment(url)) as before:
            outages.enrol(before, crowd)
        mongod.stop()
        environment = outages.environment(url)
        with RunningService(tmp_path, ready=False, **environment) as service:
            service.wait_for("/healthz", 200)
            course = outages.go_through(service, crowd, starting(mongod), enrolled=True)
    check_course(course)


@contextmanager
def starting(mongod: Mongod) -> Iterator[None]:
    yield
    mongod.start()


@pytest.mark.parametrize("outage", [outages.hung, outages.slow, outages.cut, outages.killed])
def test_a_server_that_fails(tmp_path: Path, crowd: list[Face], outage: Outage) -> None:
    with Mongod() as mongod:
        check(tmp_path, crowd, outage(mongod), f"{mongod.address}/people")


@pytest.mark.parametrize("outage", [outages.password_changed, outages.rights_revoked])
def test_credentials_that_are_no_longer_right(
    tmp_path: Path, crowd: list[Face], outage: Outage
) -> None:
    with Mongod() as mongod:
        outages.user(mongod, "createUser", pwd=PASSWORD, roles=["readWrite"])
        mongod.stop()
        mongod.start(auth=True)
        credentials = {"MONGO_DB_USERNAME": "service", "MONGO_DB_PASSWORD": PASSWORD}
        check(tmp_path, crowd, outage(mongod), f"{mongod.address}/people", **credentials)


def test_a_server_that_demands_tls(tmp_path: Path, crowd: list[Face]) -> None:
    with Mongod() as mongod:
        outage = outages.tls_demanded(mongod, outages.certificate(tmp_path, "right"))
        check(tmp_path, crowd, outage, f"{mongod.address}/people")


def test_a_certificate_of_another_authority(tmp_path: Path, crowd: list[Face]) -> None:
    right, wrong = (outages.certificate(tmp_path, name) for name in ("right", "wrong"))
    with Mongod() as mongod:
        mongod.stop()
        mongod.start(*outages.tls(right))
        url = f"{mongod.address}/people?tls=true&tlsCAFile={right}"
        check(tmp_path, crowd, outages.other_ca(mongod, right, wrong), url)


def test_a_replica_set_without_a_quorum(tmp_path: Path, crowd: list[Face]) -> None:
    with ReplicaSet() as replica_set:
        url = replica_set.url.replace("/?", "/people?")
        check(tmp_path, crowd, outages.no_quorum(replica_set), url)
