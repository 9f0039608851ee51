"""Which other origins' browser pages may call: none, but those that CORS_ORIGINS names."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from testbed.serving import ready_app
from tests.support.features import random_vector

FRONTEND = "https://frontend.example"
FORM = "multipart/form-data"
STORED = {"name": "Mallory", "surname": "x", "img_features": [random_vector(2)]}
KEY, LINE = new_key([Role.ADMIN])
ALLOW = "Access-Control-Allow-Origin"
PREFLIGHT = {
    "Access-Control-Request-Method": "DELETE",
    "Access-Control-Request-Headers": "x-api-key",
}


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = ready_app(
        tmp_path_factory.mktemp("cors"),
        api_keys=LINE,
        cors_origins=f"{FRONTEND} http://localhost:3000",
    )
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def shared(shared_app: Flask) -> FlaskClient:
    return shared_app.test_client()


def test_by_default_no_origin_is_allowed(client: FlaskClient) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": FRONTEND} | PREFLIGHT
        response = client.open("/api/get_all/1/1", method=method, headers=headers)
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("origin", [FRONTEND, "http://localhost:3000"])
def test_a_named_origin_is_let_in(shared: FlaskClient, origin: str) -> None:
    preflight = shared.options("/api/1", headers={"Origin": origin} | PREFLIGHT)
    assert preflight.status_code == 200  # browsers send no key with it
    assert preflight.headers[ALLOW] == origin
    assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    call = shared.delete("/api/1", headers={"Origin": origin, "X-API-Key": KEY})
    assert (call.status_code, call.headers[ALLOW]) == (200, origin)
    assert "Origin" in call.headers["Vary"]
    assert "X-Request-ID" in call.headers["Access-Control-Expose-Headers"]


def test_a_page_may_read_why_it_was_refused(shared: FlaskClient) -> None:
    refused = shared.delete("/api/1", headers={"Origin": FRONTEND})
    assert (refused.status_code, refused.headers[ALLOW]) == (401, FRONTEND)


@pytest.mark.parametrize(
    "origin",
    [
        "https://frontend.example.evil",
        "https://evil-frontend.example",
        "http://frontend.example",
        "https://frontend.example:8443",
        "https://FRONTEND.example",
        "null",
        "*",
    ],
)
def test_other_origins_are_refused(shared: FlaskClient, origin: str) -> None:
    for response in (
        shared.options("/api/1", headers={"Origin": origin} | PREFLIGHT),
        shared.delete("/api/1", headers={"Origin": origin, "X-API-Key": KEY}),
    ):
        assert ALLOW not in response.headers
        assert "Origin" in response.headers["Vary"]  # or a cache would answer the wrong one


def test_cookies_are_never_let_in(shared: FlaskClient) -> None:
    preflight = shared.options("/api/1", headers={"Origin": FRONTEND} | PREFLIGHT)
    assert "Access-Control-Allow-Credentials" not in preflight.headers


def test_a_star_allows_any_origin(tmp_path: Path) -> None:
    app = ready_app(tmp_path, cors_origins="*")
    response = app.test_client().get("/healthz", headers={"Origin": "https://anything.example"})
    app.extensions["service"].stop()
    assert response.headers[ALLOW] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": FRONTEND}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": FRONTEND, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://other.localhost", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://behind.a.proxy", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_without_keys_pages_of_others_change_nothing(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    form = {"name": "Mallory", "feature_vectors": json.dumps([random_vector(1)])}
    put = client.put("/api/v2/employees/1", data=form, headers=headers, content_type=FORM)
    assert put.status_code == (status if status == 403 else 201), put.text
    store = client.post("/api/store/2", json=STORED, headers=headers)
    assert store.status_code == status, store.text
    assert client.get("/api/get_all/1/1", headers=headers).status_code == 200
    if status == 403:
        assert put.get_json()["code"] == "foreign_page"
        assert store.text == "pages of other sites may not call this service"


def test_with_keys_the_key_decides(shared: FlaskClient) -> None:
    call = shared.delete("/api/1", headers={"Origin": "https://other.example", "X-API-Key": KEY})
    assert call.status_code == 200
