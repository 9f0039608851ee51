"""`GET /api/v2/gallery`: what the gallery says of itself, as the command says it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app import create_app
from app.access import Role
from app.access.api_keys import new_key
from app.bootstrap import make_service
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.employees import fill
from testbed.runtimes import remembering_runtime
from testbed.serving import free_port, only, ready_app
from tests.support.commands import run
from tests.support.features import alike, at_distance
from tests.support.waiting import eventually

KEYS = {
    "admin": new_key([Role.ADMIN], "whole"),
    "site": new_key([Role.ADMIN], "site", ["site-a"]),
}
PEOPLE, TWICE = 100, 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of people of whom three have a second id."""
    path = tmp_path_factory.mktemp("gallery") / "employees.db"
    vectors = alike(PEOPLE)
    again = [at_distance(vector, 0.1, seed) for seed, vector in enumerate(vectors[:TWICE])]
    SqliteStore(path).close()
    fill(
        path,
        (
            Employee(number, "Ada", "Lovelace", np.array([vector], np.float32), "dlib")
            for number, vector in enumerate([*vectors, *again])
        ),
    )
    return path


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[FlaskClient]:
    app = ready_app(path.parent, api_keys=" ".join(line for _, line in KEYS.values()))
    yield app.test_client()
    app.extensions["service"].stop()


def test_it_says_what_the_command_says(client: FlaskClient, path: Path) -> None:
    headers = {"X-API-Key": KEYS["admin"][0]}

    def measured() -> object:
        return client.get("/api/v2/gallery", headers=headers).get_json()["measurement"]

    said = eventually(measured)
    report = json.loads(run("gallery", "report", "--json", SQLITE_PATH=str(path)).stdout)
    assert report.pop("by_model") == {"dlib": PEOPLE + TWICE}
    assert said == report
    assert report["with_one_vector"] == PEOPLE + TWICE
    assert report["first_with_one_vector"] == list(range(20))
    assert {(pair["one"], pair["other"]) for pair in report["same_person"]} == {
        (number, PEOPLE + number) for number in range(TWICE)
    }


def test_a_key_of_a_group_learns_no_ids_of_others(client: FlaskClient) -> None:
    answer = client.get("/api/v2/gallery", headers={"X-API-Key": KEYS["site"][0]})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "group_forbidden")


def test_a_gallery_that_is_not_measured_says_nothing() -> None:
    settings = only(mongo_db_url=f"127.0.0.1:{free_port()}/people")
    app = create_app(settings, make_service(settings, runtime_for=remembering_runtime))
    answer = app.test_client().get("/api/v2/gallery")
    app.extensions["service"].stop()
    assert (answer.status_code, answer.get_json()) == (200, {"measurement": None})
