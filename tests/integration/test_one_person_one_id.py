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
from tests.support import sent_photos as photos
from tests.support.features import alike, at_distance, random_vector

PEOPLE = 100
NEW = 1_000
PERSON = alike(PEOPLE)[7]  # enrolled under the id 7


class Deployment:
    def __init__(self, folder: Path, people: int) -> None:
        path = folder / "employees.db"
        SqliteStore(path).close()
        everybody = (np.array([vector], np.float32) for vector in alike(people))
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


def test_one_vector_of_somebody_else_is_enough(crowd: Deployment) -> None:
    vectors = random_vector(8), PERSON, random_vector(9)
    assert crowd.enrol(*vectors).status_code == 409
    assert crowd.enrol(*vectors, allow_similar=True).status_code == 200
    assert {"outcome": "ok", "similar_to": 7}.items() <= crowd.audited().items()


def test_with_few_people_nothing_is_sure(few: Deployment) -> None:
    assert few.enrol(PERSON).status_code == 200
    assert few.audited()["similar_to"] == 7
    assert few.audited()["similar_distance"] == 0


def test_what_is_likely_but_not_sure_is_enrolled_and_noted(crowd: Deployment) -> None:
    surely, likely = crowd.service.distance_of(0.001), crowd.service.distance_of(0.01)
    assert surely
    assert likely
    apart = (surely + likely) / 2 / crowd.service.recogniser.model.distance_scale
    assert crowd.enrol(at_distance(PERSON, apart)).status_code == 200
    assert {"outcome": "ok", "similar_to": 7}.items() <= crowd.audited().items()


def test_a_login_that_shows_two_people_alike_says_so_in_the_audit_log(crowd: Deployment) -> None:
    photo = photos.astronaut()
    for employee_id in (NEW, NEW + 1):
        body = {"name": "Ada", "surname": "", "img_base64": photo, "allow_similar": True}
        assert crowd.client.post(f"/api/store/{employee_id}", json=body).status_code == 200
    refused = crowd.client.post("/api/find_match", json={"img_base64": photo})
    assert (refused.status_code, refused.text) == (406, "no matches found")
    entry = crowd.audited()
    assert entry["outcome"] == "ambiguous"
    assert sorted(entry["between"]) == [NEW, NEW + 1]  # type: ignore[call-overload]
