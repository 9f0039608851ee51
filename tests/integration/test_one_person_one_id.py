"""A face that is enrolled already is refused if that is sure, and noted if it is likely."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.lifecycle import Service
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.employees import fill
from testbed.serving import ready_app
from tests.support.features import at_distance, random_vector

PEOPLE = 100
NEW = 1_000
PERSON = random_vector(7)  # enrolled under the id 7


class Deployment:
    def __init__(self, folder: Path, people: int) -> None:
        path = folder / "employees.db"
        SqliteStore(path).close()
        everybody = (np.array([random_vector(seed)], np.float32) for seed in range(people))
        fill(
            path, (Employee(i, "Ada", "Lovelace", each, "dlib") for i, each in enumerate(everybody))
        )
        self._audit = folder / "audit.log"
        app = ready_app(folder, audit_log=str(self._audit), login_match_threshold="auto")
        self.client: FlaskClient = app.test_client()
        self.service: Service = app.extensions["service"]

    def enrol(self, *vectors: list[float], method: str = "POST", to: int = NEW, **more: object):  # noqa: ANN201
        body = {"name": "Ada", "surname": "Lovelace", "img_features": vectors, **more}
        return self.client.open(f"/api/store/{to}", method=method, json=body)

    def audited(self) -> dict[str, object]:
        """The last entry of the audit log."""
        entry: dict[str, object] = json.loads(self._audit.read_text().splitlines()[-1])
        return entry


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, PEOPLE)
    yield deployment
    deployment.service.stop()


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, 10)
    yield deployment
    deployment.service.stop()


def test_a_face_of_somebody_else_is_refused(crowd: Deployment) -> None:
    refused = crowd.enrol(at_distance(PERSON, 0.1))
    assert (refused.status_code, refused.text) == (
        409,
        "that face is already enrolled under another id",
    )
    assert {"outcome": "face_enrolled", "similar_to": 7}.items() <= crowd.audited().items()
    assert crowd.service.store.get([NEW]) == []


def test_the_refusal_for_programs(crowd: Deployment) -> None:
    body = {"name": "Ada", "surname": "Lovelace", "img_features": [PERSON]}
    refused = crowd.client.post(
        f"/api/store/{NEW}", json=body, headers={"Accept": "application/json"}
    )
    assert refused.get_json()["code"] == "face_enrolled"


def test_twins_may_be_allowed(crowd: Deployment) -> None:
    assert crowd.enrol(at_distance(PERSON, 0.1), allow_similar=True).status_code == 200
    assert {"outcome": "ok", "similar_to": 7}.items() <= crowd.audited().items()


def test_a_person_may_be_replaced_and_a_new_one_enrolled(crowd: Deployment) -> None:
    assert crowd.enrol(at_distance(PERSON, 0.1), method="PUT", to=7).status_code == 200
    assert crowd.enrol(random_vector(NEW)).status_code == 200
    assert "similar_to" not in crowd.audited()
    assert crowd.enrol(PERSON, method="PUT").status_code == 409


def test_all_vectors_must_be_that_persons(crowd: Deployment) -> None:
    assert crowd.enrol(PERSON, random_vector(8)).status_code == 200


def test_with_few_people_nothing_is_sure(few: Deployment) -> None:
    assert few.enrol(PERSON).status_code == 200
    assert few.audited()["similar_to"] == 7
    assert few.audited()["similar_distance"] == 0
