"""People who log in are enrolled under a second model, whatever that model is worth."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.storage import Employee, Reference, Sample
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from models.catalogue import ModelUnavailable
from testbed.employees import VECTOR_KEY, someone
from testbed.serving import ready_app
from tests.support import facenet_weights
from tests.support import sent_photos as photos
from tests.support.commands import run
from tests.support.features import alike, at_distance
from tests.support.waiting import eventually
from tools.liveness_service import LivenessService

ID = 7
PATH = f"/api/v2/employees/{ID}"
DAY_S = 86_400
NOT_HERE = "not ready yet: everybody is enrolled with a different face model"
Start = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of the model `facenet`: a network of random weights."""
    path = tmp_path_factory.mktemp("weights") / "own.pt"
    sha256 = facenet_weights.write(path)
    return {"facenet_weights": str(path), "facenet_weights_sha256": sha256}


@pytest.fixture
def start(tmp_path: Path, own: dict[str, str]) -> Iterator[Start]:
    """Starts the service on the test's own file: `dlib` runs, `facenet` is the second model."""
    with ExitStack() as running:

        def make(*, ready: bool = True, **changes: object) -> FlaskClient:
            defaults = own | {"second_face_model": "facenet", "second_model_needs_checks": False}
            defaults |= {"quality": "off"}  # which random weights cannot tell
            defaults |= {"audit_log": str(tmp_path / "audit.log")} | changes
            app = ready_app(tmp_path, ready=ready, **defaults)
            running.callback(app.extensions["service"].stop)
            return app.test_client()

        yield make


def stored(client: FlaskClient) -> Employee:
    (employee,) = client.application.extensions["service"].store.get([ID])
    return employee


def samples(client: FlaskClient) -> int:
    """How many the person has under the second model."""
    second = stored(client).second
    return len(second.vectors) if second else 0


def enrol(client: FlaskClient, distance: float = 0.0) -> None:
    """Enrol the astronaut by a vector at that distance of the photo's."""
    made = client.post("/api/v2/feature-vectors", json={"photos": [photos.astronaut()]})
    vector = made.get_json()["vectors"][0]["feature_vector"]
    vectors = [at_distance(vector, distance / 2.15)]
    body = {"name": "Eileen", "surname": "Collins", "img_features": vectors}
    assert client.post(f"/api/store/{ID}", json=body).status_code == 200


def log_in(client: FlaskClient, photo: str | None = None, **more: object) -> None:
    """As the frontend does."""
    body = {"image_base64": photo or photos.astronaut(), "img_crop": False, **more}
    answer = client.post("/api/find_match", json=body)
    assert answer.get_json() == {"_id": ID, "name": "Eileen", "surname": "Collins"}


def left(client: FlaskClient) -> list[int]:
    """Who is not enrolled under both models."""
    listed = client.get("/api/v2/employees?second_model=missing").get_json()
    assert listed["total"] == len(listed["employees"])
    return [each["employee_id"] for each in listed["employees"]]


def audited(tmp_path: Path, action: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
    return [line for line in lines if line["action"] == action]


def later(client: FlaskClient, seconds: float) -> None:
    """Let this time pass since the samples of the second model were made."""
    employee = stored(client)
    assert employee.second
    made = tuple(
        replace(sample, enrolled_at=int(time.time() - seconds))
        for sample in employee.second.samples
    )
    older = replace(employee, second=replace(employee.second, samples=made), enrolment_id="aged")
    client.application.extensions["service"].store.update(older, employee.enrolment_id)


def test_a_login_enrols_under_the_second_model(start: Start, tmp_path: Path) -> None:
    client = start()
    enrol(client)
    before = stored(client)
    assert client.get("/api/v2/system").get_json()["second_model"]["enrolled"] == 0
    assert left(client) == [ID]
    log_in(client)
    assert left(client) == []
    assert client.get(PATH).get_json()["second_model"].startswith("facenet-")
    after = stored(client)
    assert after.vectors.tobytes() == before.vectors.tobytes()
    assert after.second
    assert after.second.vectors.shape == (1, 512)
    assert client.get("/api/v2/system").get_json()["second_model"] == {
        "name": after.second.model,
        "enrolled": 1,
        "until": None,
    }
    (entry,) = audited(tmp_path, "migrate")
    assert (entry["employee_id"], entry["outcome"]) == (ID, "ok")
    assert entry["model"] == after.second.model
    export = client.get(f"/api/employees/{ID}/export").get_json()["second_model"]
    assert np.allclose(export["feature_vectors"], after.second.vectors)


def test_a_verification_does_too(start: Start) -> None:
    client = start()
    enrol(client)
    body = {"photo": photos.astronaut(), "employee_id": ID}
    assert client.post("/api/v2/verifications", json=body).get_json()["verified"]
    assert samples(client) == 1


def test_three_days_give_three_samples(start: Start) -> None:
    client = start()
    enrol(client)
    for day in range(5):
        log_in(client)
        log_in(client, photos.astronaut_again())
        assert samples(client) == min(day + 1, 3)
        later(client, DAY_S + 60)


@pytest.mark.parametrize(("distance", "expected"), [(0.55, 1), (0.65, 0)])
def test_only_a_login_that_is_beyond_doubt(start: Start, distance: float, expected: int) -> None:
    client = start()
    enrol(client, distance)
    log_in(client)
    assert samples(client) == expected


def test_a_photo_that_is_too_poor_for_an_enrolment_gives_none(start: Start) -> None:
    client = start()
    enrol(client)
    log_in(client, photos.both(admirals_height=300))
    assert samples(client) == 0


@pytest.mark.parametrize(("days", "expected"), [(0, 1), (-1, 0)])
def test_there_is_a_last_day(start: Start, days: int, expected: int) -> None:
    until = datetime.now(UTC).date() + timedelta(days)
    client = start(second_model_until=until)
    enrol(client)
    log_in(client)
    assert samples(client) == expected
    assert client.get("/api/v2/system").get_json()["second_model"]["until"] == str(until)


def test_by_default_only_checked_logins_enrol(start: Start, liveness: LivenessService) -> None:
    client = start(second_model_needs_checks=True, liveness_service_url=liveness.url)
    enrol(client)
    log_in(client)
    assert samples(client) == 0
    log_in(client, liveness=True, frames=[photos.astronaut()] * 15)
    assert samples(client) == 1


def test_samples_that_disagree_are_forgotten(start: Start, tmp_path: Path) -> None:
    client = start()
    enrol(client)
    log_in(client)
    employee = stored(client)
    assert employee.second
    elsewhere = replace(employee.second, vectors=-employee.second.vectors)
    store = client.application.extensions["service"].store
    store.update(
        replace(employee, second=elsewhere, enrolment_id="elsewhere"), employee.enrolment_id
    )
    later(client, DAY_S + 60)
    log_in(client)
    assert samples(client) == 0
    assert audited(tmp_path, "migrate")[-1]["outcome"] == "different_people"


def test_photos_are_enrolled_under_both_models(start: Start) -> None:
    client = start()
    body = {"name": "Eileen", "surname": "Collins", "photos": [photos.astronaut()]}
    made = client.put(PATH, json=body)
    assert made.status_code == 201
    assert samples(client) == 1
    more = client.post(f"{PATH}/samples", json={"photo": photos.astronaut_again()})
    assert more.status_code == 201
    assert samples(client) == 2
    first = made.get_json()["samples"][0]["sample_id"]
    second = stored(client).second
    assert second
    kept = second.vectors[1]
    assert client.delete(f"{PATH}/samples/{first}").status_code == 204
    second = stored(client).second
    assert second
    assert second.vectors.tobytes() == kept.tobytes()
    renamed = client.patch(PATH, json={"surname": "Smith"})
    assert renamed.status_code == 200
    assert samples(client) == 1


def test_the_models_change_places(start: Start, tmp_path: Path, own: dict[str, str]) -> None:
    client = start()
    enrol(client)
    log_in(client)
    swapped = start(face_model="facenet", second_face_model="dlib")
    log_in(swapped)
    log_in(client)  # a pod that still runs the other model
    shown = swapped.get(PATH).get_json()
    assert shown["model"].startswith("facenet-")
    assert swapped.patch(PATH, json={"surname": "Collins"}).status_code == 200
    log_in(client)
    variables = {name.upper(): value for name, value in own.items()}
    variables |= {"SQLITE_PATH": str(tmp_path / "employees.db"), "FACE_MODEL": "facenet"}
    still = run("models", "migrate", "--finish", "--yes", SECOND_FACE_MODEL="dlib", **variables)
    assert still.returncode == 1
    assert "unset it and restart the service" in still.stderr
    hashes = {*stored(client).photo_hashes}
    done = run("models", "migrate", "--finish", "--yes", **variables)
    assert "Deleted vectors of other models of 1 employees." in done.stdout
    left = stored(swapped)
    assert (left.model, left.second) == (shown["model"], None)
    assert hashes <= {*left.photo_hashes}
    former = client.post("/api/find_match", json={"image_base64": photos.astronaut()})
    assert (former.status_code, former.text) == (503, NOT_HERE)
    log_in(swapped)


def test_who_is_left_and_what_they_must_do(
    start: Start, tmp_path: Path, own: dict[str, str]
) -> None:
    client = start()
    service = client.application.extensions["service"]
    name = service.second.model.name
    second = Reference(name, someone(1, dimension=512).vectors, (Sample(),), ())
    service.store.add(replace(someone(1), second=second))
    service.store.add(someone(2))
    service.store.add(replace(someone(3), model="vggface2"))
    with closing(SqliteStore(tmp_path / "employees.db", VectorKeys(VECTOR_KEY))) as sealed:
        sealed.add(someone(4))
    variables = {name.upper(): value for name, value in own.items()}
    variables |= {"SQLITE_PATH": str(tmp_path / "employees.db"), "SECOND_FACE_MODEL": "facenet"}
    listed = run("models", "migrate", SECOND_MODEL_UNTIL="2999-12-31", **variables)
    rows = [line.split("\t")[::3] for line in listed.stdout.splitlines()]
    assert rows == [
        ["2", "log in"],
        ["3", "enrol again, known to vggface2"],
        ["4", "enrol again, their record cannot be read"],
    ]
    assert "1 of 4 employees are enrolled under dlib and facenet-" in listed.stderr
    assert "Left: 1 who will be when they log in, 2 who must enrol again." in listed.stderr
    assert "SECOND_MODEL_UNTIL is 2999-12-31: 3" in listed.stderr
    over = run("models", "migrate", SECOND_MODEL_UNTIL="2020-01-01", **variables)
    assert over.stdout.splitlines()[0].endswith("enrol again, known to dlib")
    assert "SECOND_MODEL_UNTIL is 2020-01-01: over." in over.stderr
    unset = run("models", "migrate", SQLITE_PATH=variables["SQLITE_PATH"])
    assert "SECOND_FACE_MODEL is not set" in unset.stderr
    models = run("models", "list", **variables).stdout.splitlines()
    assert "dlib\truns\t128\there\t2\t0" in models
    assert f"{name}\tsecond\t512\there\t0\t1" in models
    assert "vggface2\t\t512\tto be fetched\t1\t0" in models
    assert "cannot be read\t\t\t\t1\t0" in models


def test_the_second_model_is_another_one(tmp_path: Path) -> None:
    variables = {"SQLITE_PATH": str(tmp_path / "employees.db"), "SECOND_FACE_MODEL": "dlib"}
    with pytest.raises(ModelUnavailable, match="SECOND_FACE_MODEL is the model that runs, dlib"):
        ready_app(tmp_path, second_face_model="dlib")
    listed = run("models", "migrate", **variables)
    assert "SECOND_FACE_MODEL is the model that runs, dlib" in listed.stderr


def test_a_model_that_takes_all_for_one_person_does_not_start(start: Start) -> None:
    client = start()
    store = client.application.extensions["service"].store
    second = client.application.extensions["service"].second.model.name
    ones = np.full((1, 512), 512**-0.5, np.float32)
    for number, vector in enumerate(alike(6)):
        first = np.array([vector], np.float32)
        reference = Reference(second, ones, (Sample(),), ())
        store.add(Employee(number, "Ada", "", first, "dlib", second=reference))
    unfit = start(ready=False, face_model="facenet", second_face_model=None)
    eventually(lambda: "pairs of different" in unfit.get("/readyz").text, 30)
    cause = f"Under {second}, 15 of 15 pairs of different employees are nearer than"
    assert cause in unfit.get("/readyz").text
    assert unfit.post("/api/find_match", json={"image_base64": photos.cat()}).status_code == 503
