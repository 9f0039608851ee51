"""What one worker acknowledges, every other one finds in its next request: with each store."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from testbed.crowd import STRICT, Crowd, Face, empty, faces, request
from testbed.killing import workers_being_killed
from testbed.serving import RunningService
from tests.support.stores import store_variables

OPERATIONS = 400
ROUNDS = 6
STORES = [
    "sqlite",
    pytest.param("mongodb", marks=pytest.mark.mongod),
    "milvus and sqlite",
    pytest.param("milvus and mongodb", marks=pytest.mark.mongod),
]

Services = list[RunningService]


@pytest.fixture(scope="module", params=STORES)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    """Two processes on one store. The second one has two workers."""
    folder = tmp_path_factory.mktemp("writes")
    variables = {"LOG_LEVEL": "info"} | STRICT | store_variables(request, request.param)
    with (
        RunningService(folder, **variables) as one,
        RunningService(folder, WORKERS="2", **variables) as two,
    ):
        two.wait_workers(2)
        yield [one, two]


@pytest.fixture
def services(running: Services) -> Services:
    """The processes; nobody is enrolled."""
    empty(running[0])
    return running


def ask(service: RunningService, kind: str, face: Face, employee_id: int = 1) -> int:
    """The status."""
    method, path, body = request(employee_id, kind, face)
    return service.call(method, path, json=body).status_code


def listed(service: RunningService) -> list[tuple[int, str]]:
    users = service.call("GET", "/api/get_all/30/1").json()["users"]
    return [(user["_id"], user["name"]) for user in users]


def test_what_one_enrols_replaces_and_deletes_the_other_knows_at_once(services: Services) -> None:
    one, other = services
    first, second = faces(2)
    for _ in range(4):  # often enough that each of the workers is asked
        assert ask(one, "enrol", first) == 200
        assert ask(other, "login", first) == 200
        assert ask(other, "enrol", second) == 409
        assert ask(other, "replace", second) == 200
        assert ask(one, "login", first) == 406
        assert [ask(service, "login", second) for service in services] == [200, 200]
        assert listed(one) == listed(other) == [(1, second.name)]
        assert ask(one, "delete", second) == 200
        assert ask(other, "login", second) == 406
        assert listed(other) == []
    assert [service.call("GET", "/readyz").json()["employees"] for service in services] == [0, 0]


def at_once(*calls: Callable[[], int]) -> list[int]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], int]) -> int:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_of_two_enrolments_of_one_id_one_wins(services: Services) -> None:
    one, other = services
    first, second = faces(2)
    for _ in range(ROUNDS):
        answers = at_once(lambda: ask(one, "enrol", first), lambda: ask(other, "enrol", second))
        assert sorted(answers) == [200, 409]
        winner, loser = (first, second) if answers[0] == 200 else (second, first)
        assert [ask(service, "login", winner) for service in services] == [200, 200]
        assert [ask(service, "login", loser) for service in services] == [406, 406]
        assert listed(one) == [(1, winner.name)]
        assert ask(one, "delete", first) == 200


def test_a_replacement_against_a_removal(services: Services) -> None:
    one, other = services
    first, second = faces(2)
    for _ in range(ROUNDS):
        assert ask(one, "enrol", first) == 200
        replaced, removed = at_once(
            lambda: ask(one, "replace", second), lambda: ask(other, "delete", first)
        )
        # replaced and then removed, or removed with nothing left to replace
        assert (replaced, removed) in [(200, 200), (404, 200)]
        for service in services:
            assert [ask(service, "login", face) for face in (first, second)] == [406, 406]
        assert ask(other, "delete", first) == 200


@pytest.mark.parametrize("killed", [False, True], ids=["", "workers-killed"])
def test_no_answer_is_impossible(services: Services, killed: bool) -> None:
    """Many clients at once: there is an order of what they asked that explains every answer."""
    crowd = Crowd(services, faces(12), employees=6, seed=killed)
    if killed:
        with workers_being_killed(services[1], pause_s=1) as dead:
            crowd.run(OPERATIONS)
        assert dead
    else:
        crowd.run(OPERATIONS)
        # a 503 is no wrong answer, but must be rare
        assert crowd.undecided < OPERATIONS / 50, crowd.open
    crowd.must_be_right()


def test_what_was_acknowledged_is_found_after_a_crash(services: Services) -> None:
    """Comes last: the processes end."""
    one, other = services
    first, second = faces(2)
    assert ask(one, "enrol", first, 1) == 200
    assert ask(other, "enrol", second, 2) == 200
    assert ask(one, "delete", second, 2) == 200
    for service in services:
        service.kill()
    with one:
        assert [ask(one, "login", face) for face in (first, second)] == [200, 406]
        assert ask(one, "enrol", second, 2) == 200
        assert listed(one) == [(1, first.name), (2, second.name)]
