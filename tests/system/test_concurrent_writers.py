"""Two write to one id at once, through two workers: it ends as if one had come after the other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from testbed.crowd import STRICT, Face, faces, request
from testbed.mongod import Mongod
from testbed.serving import RunningService

ROUNDS = 12


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)]
)
def ask(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int, str, Face], int]]:
    """One request to one of two processes; its status."""
    folder = tmp_path_factory.mktemp("two")
    variables = dict(STRICT)
    if request.param == "mongodb":
        mongod: Mongod = request.getfixturevalue("mongod")
        variables["MONGO_DB_URL"] = f"{mongod.address}/{folder.name}"
    with RunningService(folder, **variables) as one, RunningService(folder, **variables) as other:
        yield lambda worker, kind, face: _ask((one, other)[worker], kind, face)


def _ask(service: RunningService, kind: str, face: Face) -> int:
    method, path, body = request(1, kind, face)
    return service.call(method, path, json=body).status_code


def at_once(*calls: Callable[[], int]) -> list[int]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], int]) -> int:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_of_two_enrolments_of_one_id_one_wins(ask: Callable[[int, str, Face], int]) -> None:
    first, second = faces(2)
    for _ in range(ROUNDS):
        answers = at_once(lambda: ask(0, "enrol", first), lambda: ask(1, "enrol", second))
        assert sorted(answers) == [200, 409]
        winner, loser = (first, second) if answers[0] == 200 else (second, first)
        assert [ask(worker, "login", winner) for worker in (0, 1)] == [200, 200]
        assert [ask(worker, "login", loser) for worker in (0, 1)] == [406, 406]
        assert ask(0, "delete", first) == 200


def test_a_replacement_against_a_removal(ask: Callable[[int, str, Face], int]) -> None:
    first, second = faces(2)
    for _ in range(ROUNDS):
        assert ask(0, "enrol", first) == 200
        replaced, removed = at_once(
            lambda: ask(0, "replace", second), lambda: ask(1, "delete", first)
        )
        # replaced and then removed, or removed with nothing left to replace
        assert (replaced, removed) in [(200, 200), (404, 200)]
        for worker in (0, 1):
            assert [ask(worker, "login", face) for face in (first, second)] == [406, 406]
        assert ask(1, "delete", first) == 200
