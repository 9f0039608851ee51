"""A service on MongoDB, which may be away when it starts, and may go away later."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.mongod import Mongod
from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.waiting import eventually

pytestmark = pytest.mark.mongod

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}


def find(service: RunningService, photo: str) -> int | str:
    response = service.call("POST", "/api/find_match", json={"image_base64": photo})
    if response.status_code == 200:
        employee_id: int = response.json()["_id"]
        return employee_id
    return response.text


def on(mongod: Mongod, database: str = "people") -> dict[str, str]:
    """The service's environment."""
    return {"MONGO_DB_URL": f"{mongod.address}/{database}", "MONGO_DB_TIMEOUT_S": "1"}


@pytest.fixture
def own_mongod() -> Iterator[Mongod]:
    """A mongod that a test may end."""
    with Mongod() as process:
        yield process


def test_a_service_waits_for_its_database_and_outlives_it(
    tmp_path: Path, own_mongod: Mongod
) -> None:
    own_mongod.stop()
    with RunningService(tmp_path, ready=False, **on(own_mongod)) as service:
        assert service.wait_for("/healthz", 200).json() == {"status": "alive"}
        waiting = service.wait_for("/readyz", 503)
        assert "MONGO_DB_URL" in waiting.text
        assert "Retry-After" in waiting.headers
        assert service.call("POST", "/api/store/1", json=EILEEN).status_code == 503

        own_mongod.start()
        service.wait_ready(20)
        assert service.call("POST", "/api/store/1", json=EILEEN).status_code == 200
        assert find(service, photos.astronaut()) == 1

        own_mongod.kill()
        away = "the database is unavailable, try again"
        assert service.call("GET", "/healthz").status_code == 200
        # the first answer may tell of the connection that is lost now
        eventually(lambda: "nothing listens at" in service.wait_for("/readyz", 503).text)
        refused = service.call("POST", "/api/find_match", json={"image_base64": photos.astronaut()})
        assert (refused.status_code, refused.text) == (503, away)
        assert refused.elapsed.total_seconds() < 10

        own_mongod.start()
        service.wait_ready(20)
        assert find(service, photos.astronaut()) == 1


def test_the_password_is_in_no_log_and_no_answer(tmp_path: Path, own_mongod: Mongod) -> None:
    own_mongod.stop()
    own_mongod.start(auth=True)
    environment = on(own_mongod) | {
        "MONGO_DB_USERNAME": "service",
        "MONGO_DB_PASSWORD": "s3cret/p@ss:word",
        "LOG_LEVEL": "debug",
    }
    with RunningService(tmp_path, ready=False, **environment) as service:
        refused = service.wait_for("/readyz", 503)
        assert "MONGO_DB_PASSWORD" in refused.text
        answers = refused.text + service.call("GET", "/api/get_all/30/1").text
        assert "MONGO_DB_PASSWORD" in service.log
        for secret in ("s3cret", "p@ss", "p%40ss"):
            assert secret not in answers + service.log
