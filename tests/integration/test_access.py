"""Keys and roles: who may call which endpoint, and how keys come and go."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.access import Role
from app.access.api_keys import KeyRing, new_key
from app.api.schemas import EXPORT
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.commands import run
from tests.support.features import random_vector

ENROLMENT = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}

# Every endpoint: how it is called, its status if the caller is let in, and the allowed roles.
# Nobody is enrolled, but employee 5.
Call = tuple[str, str, dict[str, Any] | None, int, set[str]]
EVERYONE = {"nobody", "unknown", "login", "enrol", "monitor", "admin"}
CALLS: dict[str, Call] = {
    "health.healthz": ("GET", "/healthz", None, 200, EVERYONE),
    "openapi.openapi": ("GET", "/openapi.json", None, 200, EVERYONE),
    "health.readyz": ("GET", "/readyz", None, 200, EVERYONE),
    "monitoring.version": ("GET", "/version", None, 200, EVERYONE),
    "monitoring.metrics": ("GET", "/metrics", None, 200, {"monitor", "admin"}),
    "login.find_match": (
        "POST",
        "/api/find_match",
        {"img_base64": photos.astronaut()},
        406,
        {"login", "admin"},
    ),
    "v2.identifications": (
        "POST",
        "/api/v2/identifications",
        {"photo": photos.astronaut()},
        406,
        {"login", "admin"},
    ),
    "v2.verifications": (
        "POST",
        "/api/v2/verifications",
        {"photo": photos.astronaut(), "employee_id": 5},
        406,
        {"login", "admin"},
    ),
    "v2.candidates": (
        "POST",
        "/api/v2/candidates",
        {"feature_vector": random_vector(2)},
        200,
        {"admin"},
    ),
    "v2.comparisons": (
        "POST",
        "/api/v2/comparisons",
        {"photos": [photos.astronaut(), photos.admiral()]},
        200,
        {"admin"},
    ),
    "v2.faces": (
        "POST",
        "/api/v2/faces",
        {"photo": photos.astronaut()},
        200,
        {"login", "enrol", "admin"},
    ),
    "v2.feature_vectors": (
        "POST",
        "/api/v2/feature-vectors",
        {"photos": [photos.astronaut()]},
        200,
        {"admin"},
    ),
    "v2.put_employee": (
        "PUT",
        "/api/v2/employees/5",
        {"name": "Grace", "feature_vectors": [random_vector(1)]},
        200,
        {"enrol", "admin"},
    ),
    "v2.show_employee": ("GET", "/api/v2/employees/5", None, 200, {"enrol", "admin"}),
    "v2.change_employee": (
        "PATCH",
        "/api/v2/employees/5",
        {"surname": "Murray"},
        200,
        {"enrol", "admin"},
    ),
    "v2.remove_employee": ("DELETE", "/api/v2/employees/1", None, 204, {"admin"}),
    "v2.list_employees": ("GET", "/api/v2/employees", None, 200, {"enrol", "admin"}),
    "v2.add_sample": (
        "POST",
        "/api/v2/employees/1/samples",
        {"feature_vector": random_vector(1)},
        404,
        {"enrol", "admin"},
    ),
    "v2.remove_sample": (
        "DELETE",
        "/api/v2/employees/1/samples/0123456789abcdef",
        None,
        404,
        {"enrol", "admin"},
    ),
    "v2.liveness_sessions": ("POST", "/api/v2/liveness-sessions", None, 201, {"login", "admin"}),
    "v2.export_all": ("GET", "/api/v2/export", None, 200, {"admin"}),
    "v2.import_all": ("POST", "/api/v2/import", {}, 415, {"admin"}),
    "inspection.audit_entries": ("GET", "/api/v2/audit-entries", None, 409, {"admin"}),
    "inspection.gallery": ("GET", "/api/v2/gallery", None, 200, {"admin"}),
    "inspection.system": ("GET", "/api/v2/system", None, 200, {"admin"}),
    "inspection.me": ("GET", "/api/v2/me", None, 200, {"login", "enrol", "monitor", "admin"}),
    "console.to_console": ("GET", "/console", None, 302, EVERYONE),
    "console.console": ("GET", "/console/", None, 200, EVERYONE),
    "console.console_file": ("GET", "/console/app.js", None, 200, EVERYONE),
    "docs.docs": ("GET", "/docs", None, 200, EVERYONE),
    "docs.start": ("GET", "/", None, 200, EVERYONE),
    "employees.enrol": ("POST", "/api/store/1", ENROLMENT, 200, {"enrol", "admin"}),
    "employees.replace": ("PUT", "/api/store/5", ENROLMENT, 200, {"enrol", "admin"}),
    "employees.get_all": ("GET", "/api/get_all/30/1", None, 200, {"enrol", "admin"}),
    "employees.remove": ("DELETE", "/api/5", None, 200, {"admin"}),
    "employees.export": ("GET", "/api/employees/5/export", None, 200, {"admin"}),
}

KEYS = {role.value: new_key([role]) for role in Role}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text("# who may call\n" + "\n".join(line for _, line in KEYS.values()))
    return path


@pytest.fixture(scope="module")
def keyed_app(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Iterator[Flask]:
    app = ready_app(tmp_path_factory.mktemp("keyed"), api_keys_file=key_file)
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def keyed(keyed_app: Flask) -> FlaskClient:
    """A client of a service with one key of each role, in which employee 5 is enrolled."""
    client = keyed_app.test_client()
    for employee_id in (1, 5):
        client.delete(f"/api/{employee_id}", headers=bearer("admin"))
    assert client.post("/api/store/5", json=ENROLMENT, headers=bearer("enrol")).status_code == 200
    return client


def bearer(who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    return {"Authorization": f"Bearer {KEYS[who][0] if who in KEYS else 'login-1.abc'}"}


def test_every_endpoint_is_in_the_matrix(keyed_app: Flask) -> None:
    assert set(keyed_app.view_functions) == set(CALLS)


def test_an_endpoint_that_does_not_say_who_may_call_it_is_for_admins(tmp_path: Path) -> None:
    app = ready_app(tmp_path, api_keys="\n".join(line for _, line in KEYS.values()))
    app.add_url_rule("/api/new", "new", lambda: "new")
    client = app.test_client()
    statuses = {who: client.get("/api/new", headers=bearer(who)).status_code for who in EVERYONE}
    app.extensions["service"].stop()
    refused = {"nobody": 401, "unknown": 401, "login": 403, "enrol": 403, "monitor": 403}
    assert statuses == refused | {"admin": 200}


@pytest.mark.parametrize("who", sorted(EVERYONE))
@pytest.mark.parametrize("endpoint", CALLS)
def test_each_key_may_call_only_its_endpoints(keyed: FlaskClient, endpoint: str, who: str) -> None:
    method, path, body, status, allowed = CALLS[endpoint]
    refused = 401 if who in ("nobody", "unknown") else 403
    expected = status if who in allowed else refused
    for headers in (bearer(who), {"X-API-Key": bearer(who).get("Authorization", "")[7:]}):
        response = keyed.open(path, method=method, json=body, headers=headers)
        assert response.status_code == expected
        assert ("WWW-Authenticate" in response.headers) == (expected == 401)
        if path.startswith("/api/v2/") and expected >= 400:
            assert response.mimetype == "application/problem+json"
        keyed.delete("/api/1", headers=bearer("admin"))
        if who in allowed and endpoint == "employees.remove":
            break
    if who not in allowed:
        listed = keyed.get("/api/get_all/30/1", headers=bearer("admin")).get_json()["users"]
        assert [user["_id"] for user in listed] == [5]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "key_missing"),
        ({"Authorization": "Basic YTpi"}, 401, "key_missing"),
        ({"Authorization": "Bearer "}, 401, "key_missing"),
        ({"Authorization": "Bearer \xff\x00"}, 401, "key_unknown"),
        ({"X-API-Key": KEYS["admin"][0][:-1]}, 401, "key_unknown"),
        ({"X-API-Key": KEYS["admin"][1].split(":")[2]}, 401, "key_unknown"),
        ({"X-API-Key": KEYS["login"][0]}, 403, "key_insufficient"),
        ({"Authorization": f"bearer {KEYS['login'][0]}"}, 403, "key_insufficient"),
    ],
)
def test_refusals_are_sentences_with_a_code(
    keyed: FlaskClient, headers: dict[str, str], status: int, code: str
) -> None:
    problem = keyed.delete("/api/5", headers=headers | {"Accept": "application/json"})
    assert (problem.status_code, problem.get_json()["code"]) == (status, code)
    plain = keyed.delete("/api/5", headers=headers)
    assert plain.mimetype == "text/plain"
    assert plain.text == problem.get_json()["title"]
    assert status != 403 or plain.text == "this needs an API key with the role admin"


def test_only_admins_get_vectors_and_others_an_empty_list(
    keyed: FlaskClient,
) -> None:
    def listed(who: str) -> dict[str, Any]:
        (user,) = keyed.get("/api/get_all/30/1", headers=bearer(who)).get_json()["users"]
        return user

    assert listed("enrol") == {"_id": 5, "name": "Grace", "surname": "Hopper", "img": []}
    assert listed("admin")["img"][0] == pytest.approx(random_vector(1), abs=1e-6)


def test_an_export_is_all_that_is_held(keyed: FlaskClient) -> None:
    export = keyed.get("/api/employees/5/export", headers=bearer("admin")).get_json()
    vectors = export.pop("feature_vectors")
    assert len(export.pop("enrolment_id")) == 32
    times = export.pop("enrolled_at"), export.pop("updated_at")
    assert all(abs(seconds - time.time()) < 60 for seconds in times)
    (sample,) = export.pop("samples")
    assert (len(sample["sample_id"]), sample["enrolled_at"]) == (16, times[0])
    assert sample["quality"] is None
    assert vectors == [pytest.approx(random_vector(1), abs=1e-6)]
    assert export == {
        "_id": 5,
        "name": "Grace",
        "surname": "Hopper",
        "model": "dlib",
        "photo_hashes": [],
        "second_model": None,
        "external_id": None,
        "metadata": {},
        "groups": [],
        "used_photos": [],
    }
    described = set(EXPORT["required"])
    left_out = {"feature_vectors", "enrolment_id", "enrolled_at", "updated_at", "samples"}
    assert described == left_out.union(export)
    missing = keyed.get("/api/employees/6/export", headers=bearer("admin"))
    assert (missing.status_code, missing.text) == (404, "no such employee")


def test_an_unauthorised_body_is_not_received(keyed_app: Flask) -> None:
    """Whoever has no key must not make the service hold 64 MB for them."""

    class Body:
        read_from = False

        def read(self, size: int = -1) -> bytes:
            self.read_from = True
            return b""

    body = Body()
    environ = EnvironBuilder("/api/store/1", method="POST").get_environ()
    environ |= {"wsgi.input": body, "CONTENT_LENGTH": "60000000"}
    _, status, _ = run_wsgi_app(keyed_app, environ)
    assert status == "401 UNAUTHORIZED"
    assert not body.read_from


def test_ready_tells_whether_keys_are_needed(keyed: FlaskClient, client: FlaskClient) -> None:
    assert keyed.get("/readyz").get_json()["access"] == "keys"
    assert client.get("/readyz").get_json()["access"] == "open to everyone"


def test_a_wrong_key_costs_no_more_than_a_right_one(keyed: FlaskClient) -> None:
    """No slow hash for each request."""
    started = time.process_time()
    for _ in range(200):
        keyed.delete("/api/5", headers={"X-API-Key": "wrong"})
    assert time.process_time() - started < 5


def test_the_command_makes_a_key_that_works() -> None:
    made = run("keys", "new", "--role", "login", "--role", "enrol", "--id", "front-desk")
    assert made.returncode == 0
    key, line = made.stdout.split()
    found = KeyRing(line).find(key)
    assert found is not None
    assert found.key_id == "front-desk"
    assert found.roles == {Role.LOGIN, Role.ENROL}
    for wrong in (["--role", "boss"], [], ["--role", "login", "--id", "front desk"]):
        refused = run("keys", "new", *wrong)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
