"""Processes on one SQLite file: what one acknowledges the other knows in its next request."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.features import random_vector

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def one(folder: Path) -> Iterator[RunningService]:
    with RunningService(folder) as service:
        yield service


@pytest.fixture(scope="module")
def other(folder: Path) -> Iterator[RunningService]:
    """Two workers."""
    with RunningService(folder, WORKERS="2") as service:
        service.wait_workers(2)
        yield service


def find(service: RunningService, photo: str) -> int | str:
    response = service.call("POST", "/api/find_match", json={"image_base64": photo})
    if response.status_code == 200:
        employee_id: int = response.json()["_id"]
        return employee_id
    return response.text


def test_what_one_enrols_replaces_and_deletes_the_other_knows_at_once(
    one: RunningService, other: RunningService
) -> None:
    # often enough that each of the workers is asked
    for _ in range(4):
        assert one.call("POST", "/api/store/1", json=EILEEN).status_code == 200
        assert find(other, photos.astronaut()) == 1
        assert other.call("POST", "/api/store/1", json=GRACE).status_code == 409
        assert other.call("PUT", "/api/store/1", json=GRACE).status_code == 200
        assert find(one, photos.astronaut()) == "no matches found"
        assert find(one, photos.admiral()) == find(other, photos.admiral()) == 1
        assert one.call("DELETE", "/api/1").status_code == 200
        assert find(other, photos.admiral()) == "no matches found"
        assert other.call("GET", "/api/get_all/30/1").json() == {"users": []}


def test_one_of_many_who_enrol_the_same_id_gets_it(
    one: RunningService, other: RunningService
) -> None:
    def enrol(turn: int) -> tuple[int, str]:
        body = {"name": f"turn {turn}", "surname": "x", "img_features": [random_vector(turn)]}
        response = (one, other)[turn % 2].call("POST", "/api/store/50", json=body)
        return response.status_code, body["name"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(enrol, range(16)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 15
    (winner,) = [name for status, name in answers if status == 200]
    (user,) = one.call("GET", "/api/get_all/30/1").json()["users"]
    assert user["name"] == winner
    assert one.call("DELETE", "/api/50").status_code == 200


def test_what_is_acknowledged_survives_a_crash_and_a_restart(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        assert service.call("POST", "/api/store/1", json=EILEEN).status_code == 200
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        assert service.call("DELETE", "/api/2").status_code == 200
        service.kill()
    with RunningService(tmp_path) as service:
        assert find(service, photos.astronaut_again()) == 1
        assert find(service, photos.admiral()) == "no matches found"
        assert service.call("POST", "/api/store/2", json=GRACE).status_code == 200
        assert service.stop() == 0
    with RunningService(tmp_path) as service:
        assert find(service, photos.admiral()) == 2
        assert find(service, photos.astronaut()) == 1
