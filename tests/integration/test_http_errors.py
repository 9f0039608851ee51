"""What cannot be done is answered with a fitting status and one short sentence that says why."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from testbed.serving import free_port, only
from tests.support import sent_photos as photos
from tests.support.features import random_vector

WHO = {"name": "Grace", "surname": "Hopper"}
ENROLMENT = WHO | {"img_features": [random_vector(1)]}
STORE = "/api/store/1"
FIND = "/api/find_match"
EXPORT = "/api/employees/4/export"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api"),
        ("POST", "/api/store"),
        ("POST", "/api/store/"),
        ("POST", "/api/store/abc"),
        ("POST", "/api/store/1.5"),
        ("POST", "/api/find_match/"),
        ("DELETE", "/api/-1"),
        ("GET", "/api/get_all/30"),
    ],
)
def test_nothing_is_at_that_address(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.text) == (404, "there is nothing at this address")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", STORE, {"OPTIONS", "POST", "PUT"}),
        ("GET", FIND, {"OPTIONS", "POST"}),
        ("POST", "/api/1", {"OPTIONS", "DELETE"}),
        ("POST", "/api/get_all/30/1", {"OPTIONS", "GET", "HEAD"}),
        ("DELETE", "/healthz", {"OPTIONS", "GET", "HEAD"}),
    ],
)
def test_a_method_that_is_not_taken(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.text) == (
        405,
        "this address does not accept that method",
    )
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_an_id_that_is_taken(client: FlaskClient) -> None:
    assert client.post(STORE, json=ENROLMENT).status_code == 200
    response = client.post(STORE, json=ENROLMENT)
    assert (response.status_code, response.text) == (409, "that employee id is taken")


def test_an_employee_who_is_not_there(client: FlaskClient) -> None:
    for response in (client.get(EXPORT), client.put(STORE, json=ENROLMENT)):
        assert (response.status_code, response.text) == (404, "no such employee")


@pytest.mark.parametrize("path", [STORE, FIND])
def test_a_body_that_is_too_large(client: FlaskClient, path: str) -> None:
    response = client.post(path, data=b"x" * 2_000_001, content_type="application/json")
    assert response.status_code == 413
    assert response.text == "the request is larger than 2 MB"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "image/jpeg",
        None,
    ],
)
def test_a_body_that_is_not_called_json(client: FlaskClient, content_type: str | None) -> None:
    body = json.dumps(ENROLMENT)
    for path, example in [
        (STORE, '{"name": "Grace", "surname": "Hopper", "img_base64": "..."}'),
        (FIND, '{"img_base64": "..."}'),
    ]:
        response = client.post(path, data=body, content_type=content_type)
        assert response.status_code == 415
        assert response.text == f"send JSON like {example}, with Content-Type: application/json"


@pytest.mark.parametrize("coding", ["gzip", "BR", "deflate, gzip", "x" * 5000, "é"])
def test_a_compressed_body(client: FlaskClient, coding: str) -> None:
    body = gzip.compress(json.dumps(ENROLMENT).encode())
    headers = {"Content-Encoding": coding}
    response = client.post(STORE, data=body, content_type="application/json", headers=headers)
    assert response.status_code == 415
    assert f"compressed ({coding.lower()[:5]}" in response.text or coding == "é"
    assert response.text.endswith("send it without Content-Encoding")
    assert_short(response)
    assert response.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_identity_content_encoding_is_accepted(client: FlaskClient, coding: str) -> None:
    response = client.post(STORE, json=ENROLMENT, headers={"Content-Encoding": coding})
    assert response.status_code == 200


def test_json_with_parameters_or_a_suffix_is_json(client: FlaskClient) -> None:
    for n, content_type in enumerate(["application/json; charset=utf-8", "application/ld+json"]):
        body = json.dumps(ENROLMENT)
        response = client.post(f"/api/store/{n}", data=body, content_type=content_type)
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("picture", "status", "code"),
    [
        (lambda: "aGVsbG8=", 415, "not_an_image"),
        (lambda: photos.astronaut()[:4000], 415, "not_an_image"),
        (photos.coffee, 422, "no_face"),
        (photos.cat, 422, "no_face"),
    ],
)
@pytest.mark.parametrize("path", [STORE, FIND])
def test_pictures_that_are_of_no_use(
    client: FlaskClient, path: str, picture: Callable[[], str], status: int, code: str
) -> None:
    body = WHO | {"img_base64": picture()}
    response = client.post(path, json=body, headers={"Accept": "application/json"})
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert client.post(path, json=body).status_code == status


def test_requested_fraud_detection_is_never_skipped(client: FlaskClient) -> None:
    assert client.post(STORE, json=WHO | {"img_base64": photos.astronaut()}).status_code == 200
    body = {"img_base64": photos.astronaut(), "fraud_detection": True}
    response = client.post(FIND, json=body)
    assert (response.status_code, response.text) == (
        400,
        "frames: 15 are needed for fraud_detection, 0 were sent",
    )


def test_requested_liveness_is_never_skipped(client: FlaskClient) -> None:
    assert client.post(STORE, json=WHO | {"img_base64": photos.astronaut()}).status_code == 200
    body = {"img_base64": photos.astronaut(), "liveness": True, "frames": ["YQ=="] * 15}
    response = client.post(FIND, json=body)
    assert response.status_code == 503
    assert "LIVENESS_SERVICE_URL" in response.text


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/html", "text/plain"),
        ("application/json, text/plain, */*", "text/plain"),
        ("application/json;q=0.5, text/plain", "text/plain"),
        ("nonsense;;q=x", "text/plain"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("application/json, text/plain;q=0.5", "application/problem+json"),
    ],
)
def test_errors_are_text_unless_json_is_preferred(
    client: FlaskClient, accept: str | None, preferred: str
) -> None:
    response = client.get(EXPORT, headers={"Accept": accept} if accept else {})
    assert response.mimetype == preferred
    if preferred == "text/plain":
        assert response.text == "no such employee"


def test_problem_json(client: FlaskClient) -> None:
    headers = {"Accept": "application/json", "X-Request-ID": "abc-1"}
    response = client.get(EXPORT, headers=headers)
    assert json.loads(response.text) == {
        "title": "no such employee",
        "status": 404,
        "code": "no_such_employee",
        "request_id": "abc-1",
    }


def test_every_answer_carries_a_request_id(client: FlaskClient) -> None:
    for path in ("/healthz", "/nowhere"):
        given = client.get(path, headers={"X-Request-ID": "from_the-router.7"})
        assert given.headers["X-Request-ID"] == "from_the-router.7"
        made = [client.get(path).headers["X-Request-ID"] for _ in range(2)]
        assert len(set(made)) == 2
        assert all(len(request_id) == 32 for request_id in made)


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", "a;b", "naïve", "<script>"])
def test_a_request_id_that_could_do_harm_is_replaced(client: FlaskClient, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] != given


@pytest.fixture(scope="module")
def waiting_app() -> Iterator[Flask]:
    """A service whose database is unavailable, with a bug at /bug."""
    app = create_app(
        only(
            mongo_db_url=f"127.0.0.1:{free_port()}/employees",
            mongo_db_username="service",
            mongo_db_password="hunter2",
            mongo_db_timeout_s=0.1,
        )
    )

    @app.get("/bug")
    def bug() -> str:
        raise KeyError("hunter2")

    yield app
    app.extensions["service"].stop()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/readyz", None),
        ("POST", STORE, ENROLMENT),
        ("PUT", STORE, ENROLMENT),
        ("POST", FIND, {"image_base64": "YQ=="}),
        ("GET", "/api/get_all/30/1", None),
        ("DELETE", "/api/1", None),
    ],
)
def test_endpoints_answer_503_while_the_database_is_down(
    waiting_app: Flask, method: str, path: str, body: dict[str, Any] | None
) -> None:
    response = waiting_app.test_client().open(path, method=method, json=body)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert_short(response)
    assert "hunter2" not in response.text


def test_a_process_that_waits_is_alive(waiting_app: Flask) -> None:
    response = waiting_app.test_client().get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "alive"})


def test_bad_requests_get_400_while_the_database_is_down(waiting_app: Flask) -> None:
    response = waiting_app.test_client().post(STORE, json={})
    assert (response.status_code, response.text) == (400, "name: is missing")


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_a_bug_shows_no_traceback(waiting_app: Flask, accept: str) -> None:
    response = waiting_app.test_client().get("/bug", headers={"Accept": accept})
    assert response.status_code == 500
    assert "something went wrong on our side" in response.text
    for detail in ("Traceback", "KeyError", "hunter2", ".py"):
        assert detail not in response.text


def assert_short(response: TestResponse) -> None:
    """One line that fits a screen."""
    assert len(response.text) < 300
    assert "\n" not in response.text
    assert "Traceback" not in response.text
