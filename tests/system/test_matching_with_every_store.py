"""Two workers measure the gallery and recognise second ids alike: with each store and index."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.commands import run
from tests.support.features import alike
from tests.support.stores import store_variables

STORES = [
    "sqlite",
    pytest.param("mongodb", marks=pytest.mark.mongod),
    pytest.param("milvus and mongodb", marks=pytest.mark.mongod),
]
PEOPLE = 60
WORKERS = 2
ASKED = 6  # often enough that each worker is asked
PHOTO = photos.astronaut()


@dataclass(frozen=True, slots=True)
class Deployment:
    folder: Path
    variables: dict[str, str]

    def service(self) -> RunningService:
        return RunningService(self.folder, **self.variables)


@pytest.fixture(scope="module", params=STORES)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """People who are so alike that `auto` must lower α."""
    variables = {"LOGIN_MATCH_THRESHOLD": "auto"} | store_variables(request, request.param)
    deployment = Deployment(tmp_path_factory.mktemp("matching"), variables)
    with deployment.service() as service:
        for number, vector in enumerate(alike(PEOPLE)):
            assert enrol(service, number, img_features=[vector]).status_code == 200
    return deployment


@pytest.fixture
def service(deployment: Deployment) -> Iterator[RunningService]:
    with RunningService(deployment.folder, WORKERS=str(WORKERS), **deployment.variables) as running:
        running.wait_workers(WORKERS)
        yield running


def enrol(service: RunningService, number: int, **members: object) -> requests.Response:
    body = {"name": "Ada", "surname": "Lovelace"} | members
    return service.call("POST", f"/api/store/{number}", json=body)


def test_all_workers_and_the_report_choose_one_threshold(
    service: RunningService, deployment: Deployment
) -> None:
    seen = [service.call("GET", "/readyz").json()["gallery"] for _ in range(ASKED)]
    report = run("gallery", "report", "--json", **service.environment)
    assert {each["threshold"] for each in seen} == {json.loads(report.stdout)["threshold"]}
    assert seen[0]["threshold"] < 0.8
    assert {each["employees"] for each in seen} == {PEOPLE}


def test_a_second_id_is_refused_and_if_allowed_never_guessed(service: RunningService) -> None:
    def log_in() -> set[tuple[int, str]]:
        answers = [
            service.call("POST", "/api/find_match", json={"img_base64": PHOTO})
            for _ in range(ASKED)
        ]
        return {(each.status_code, each.text[:12]) for each in answers}

    assert enrol(service, 100, img_base64=PHOTO).status_code == 200
    assert log_in() == {(200, '{"_id":100,"')}
    for _ in range(ASKED):
        refused = enrol(service, 101, img_base64=PHOTO)
        assert (refused.status_code, refused.text) == (
            409,
            "that face is already enrolled under another id",
        )
    assert enrol(service, 101, img_base64=PHOTO, allow_similar=True).status_code == 200
    assert log_in() == {(406, "no matches f")}
    assert service.call("DELETE", "/api/101").status_code == 200
    assert log_in() == {(200, '{"_id":100,"')}
    assert service.call("DELETE", "/api/100").status_code == 200
