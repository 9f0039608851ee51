"""Why MongoDB cannot be used: operators get the cause, people that it is unavailable."""

from pathlib import Path

import pytest

from testbed.mongod import Mongod
from testbed.serving import RunningService
from tests.support.waiting import eventually


@pytest.mark.mongod
def test_operators_are_told_the_cause_and_people_that_the_database_is_away(tmp_path: Path) -> None:
    person = {"name": "Ada", "surname": "Byron", "img_features": [[1.0] * 128]}
    with Mongod() as mongod:
        url = {"MONGO_DB_URL": f"{mongod.address}/people", "MONGO_DB_TIMEOUT_S": "1"}
        with RunningService(tmp_path, **url) as service:
            mongod.kill()
            refused = f"nothing listens at {mongod.address} (MONGO_DB_URL)"
            # the first answer may tell of the connection that is lost now
            eventually(lambda: refused in service.wait_for("/readyz", 503).text)
            assert service.wait_for("/readyz", 503).headers["Retry-After"]
            answer = service.call("POST", "/api/store/1", json=person)
            assert (answer.status_code, answer.text) == (
                503,
                "the database is unavailable, try again",
            )
            assert refused in service.log
        with RunningService(tmp_path, ready=False, **url) as service:
            assert refused in service.wait_for("/readyz", 503).text
            answer = service.call("POST", "/api/store/1", json=person)
            assert answer.status_code == 503
            assert answer.text == "not ready yet: the database is unavailable"
            assert refused in service.log


@pytest.mark.mongod
def test_a_wrong_password_is_told_to_operators(tmp_path: Path) -> None:
    with Mongod() as mongod:
        with mongod.client() as client:
            client["people"].command("createUser", "service", pwd="right", roles=["readWrite"])
        mongod.stop()
        mongod.start(auth=True)
        variables = {
            "MONGO_DB_URL": f"{mongod.address}/people",
            "MONGO_DB_USERNAME": "service",
            "MONGO_DB_PASSWORD": "hunter2",
        }
        with RunningService(tmp_path, ready=False, **variables) as service:
            told = service.wait_for("/readyz", 503).text
            assert (
                "refused the user name or password (MONGO_DB_USERNAME, MONGO_DB_PASSWORD)" in told
            )
            assert "hunter2" not in told + service.log
