"""Keys and roles: who may call which endpoint, and how keys come and go."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.access import Role
from app.access.keys import KeyRing, KeysError, new_key
from app.api.schemas import EXPORT
from tests import sent_photos as photos
from tests.features import random_vector
from tests.serving import ROOT, RunningService, environment, ready_app

ENROLMENT = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}

# Every endpoint: how it is called, its status where the caller is let in, and the roles that are.
# Nobody is enrolled, but employee 5.
Call = tuple[str, str, dict[str, Any] | None, int, set[str]]
EVERYONE = {"nobody", "unknown", "login", "enrol", "admin"}
CALLS: dict[str, Call] = {
    "health.healthz": ("GET", "/healthz", None, 200, EVERYONE),
    "openapi.openapi": ("GET", "/openapi.json", None, 200, EVERYONE),
    "health.readyz": ("GET", "/readyz", None, 200, EVERYONE),
    "login.find_match": (
        "POST",
        "/api/find_match",
        {"img_base64": photos.astronaut()},
        406,
        {"login", "admin"},
    ),
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
def closed_app(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Iterator[Flask]:
    app = ready_app(tmp_path_factory.mktemp("closed"), api_keys_file=key_file)
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def closed(closed_app: Flask) -> FlaskClient:
    """A client of a service with one key of each role, in which employee 5 is enrolled."""
    client = closed_app.test_client()
    for employee_id in (1, 5):
        client.delete(f"/api/{employee_id}", headers=bearer("admin"))
    assert client.post("/api/store/5", json=ENROLMENT, headers=bearer("enrol")).status_code == 200
    return client


def bearer(who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    return {"Authorization": f"Bearer {KEYS[who][0] if who in KEYS else 'login-1.abc'}"}


def test_every_endpoint_is_in_the_matrix(closed_app: Flask) -> None:
    assert set(closed_app.view_functions) == set(CALLS)


def test_an_endpoint_that_does_not_say_who_may_call_it_is_for_admins(tmp_path: Path) -> None:
    app = ready_app(tmp_path, api_keys="\n".join(line for _, line in KEYS.values()))
    app.add_url_rule("/api/new", "new", lambda: "new")
    client = app.test_client()
    statuses = {who: client.get("/api/new", headers=bearer(who)).status_code for who in EVERYONE}
    app.extensions["service"].stop()
    refused = {"nobody": 401, "unknown": 401, "login": 403, "enrol": 403}
    assert statuses == refused | {"admin": 200}


@pytest.mark.parametrize("who", sorted(EVERYONE))
@pytest.mark.parametrize("endpoint", CALLS)
def test_the_matrix(closed: FlaskClient, endpoint: str, who: str) -> None:
    method, path, body, status, allowed = CALLS[endpoint]
    refused = 401 if who in ("nobody", "unknown") else 403
    expected = status if who in allowed else refused
    for headers in (bearer(who), {"X-API-Key": bearer(who).get("Authorization", "")[7:]}):
        response = closed.open(path, method=method, json=body, headers=headers)
        assert response.status_code == expected
        assert ("WWW-Authenticate" in response.headers) == (expected == 401)
        closed.delete("/api/1", headers=bearer("admin"))
        if who in allowed and endpoint == "employees.remove":
            break
    if who not in allowed:
        listed = closed.get("/api/get_all/30/1", headers=bearer("admin")).get_json()["users"]
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
    closed: FlaskClient, headers: dict[str, str], status: int, code: str
) -> None:
    problem = closed.delete("/api/5", headers=headers | {"Accept": "application/json"})
    assert (problem.status_code, problem.get_json()["code"]) == (status, code)
    plain = closed.delete("/api/5", headers=headers)
    assert plain.mimetype == "text/plain"
    assert plain.text == problem.get_json()["title"]
    assert status != 403 or plain.text == "this needs an API key with the role admin"


def test_only_an_admin_gets_vectors_but_everybody_the_name_of_the_field(
    closed: FlaskClient,
) -> None:
    def listed(who: str) -> dict[str, Any]:
        (user,) = closed.get("/api/get_all/30/1", headers=bearer(who)).get_json()["users"]
        return user

    assert listed("enrol") == {"_id": 5, "name": "Grace", "surname": "Hopper", "img": []}
    assert listed("admin")["img"][0] == pytest.approx(random_vector(1), abs=1e-6)


def test_an_export_is_all_that_is_held(closed: FlaskClient) -> None:
    export = closed.get("/api/employees/5/export", headers=bearer("admin")).get_json()
    vectors = export.pop("feature_vectors")
    assert len(export.pop("enrolment_id")) == 32
    assert vectors == [pytest.approx(random_vector(1), abs=1e-6)]
    assert export == {
        "_id": 5,
        "name": "Grace",
        "surname": "Hopper",
        "model": "dlib",
        "photo_hashes": [],
        "used_photos": [],
    }
    described = set(EXPORT["required"])
    assert described == {*export, "feature_vectors", "enrolment_id"}
    missing = closed.get("/api/employees/6/export", headers=bearer("admin"))
    assert (missing.status_code, missing.text) == (404, "no such employee")


def test_an_unauthorised_body_is_not_received(closed_app: Flask) -> None:
    """Whoever has no key must not make the service hold 64 MB for them."""

    class Body:
        read_from = False

        def read(self, size: int = -1) -> bytes:
            self.read_from = True
            return b""

    body = Body()
    environ = EnvironBuilder("/api/store/1", method="POST").get_environ()
    environ |= {"wsgi.input": body, "CONTENT_LENGTH": "60000000"}
    _, status, _ = run_wsgi_app(closed_app, environ)
    assert status == "401 UNAUTHORIZED"
    assert not body.read_from


def test_ready_tells_whether_keys_are_needed(closed: FlaskClient, client: FlaskClient) -> None:
    assert closed.get("/readyz").get_json()["access"] == "keys"
    assert client.get("/readyz").get_json()["access"] == "open to everyone"


def test_without_keys_everything_is_open_and_the_start_says_so(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        assert "OPEN TO EVERYONE" in service.log
        assert service.call("POST", "/api/store/1", json=ENROLMENT).status_code == 200
        (user,) = service.call("GET", "/api/get_all/30/1").json()["users"]
        assert len(user["img"][0]) == 128
        assert service.call("DELETE", "/api/1").status_code == 200


def test_keys_are_added_and_removed_while_several_workers_run(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(KEYS["admin"][1])
    with RunningService(tmp_path, API_KEYS_FILE=str(path), WORKERS="2") as service:
        service.wait_workers(2)

        def statuses(who: str) -> set[int]:
            # often enough that each worker is asked
            return {
                service.call("GET", "/api/get_all/30/1", headers=bearer(who)).status_code
                for _ in range(12)
            }

        assert "OPEN TO EVERYONE" not in service.log
        assert statuses("admin") == {200}
        assert statuses("enrol") == {401}
        large = service.call("POST", "/api/find_match", data=b"x" * 20_000_000)
        assert (large.status_code, large.text[:15]) == (401, "send an API key")
        swapped(path, f"{KEYS['admin'][1]}\n{KEYS['enrol'][1]}\n")
        assert statuses("enrol") == {200}
        swapped(path, KEYS["admin"][1])
        assert statuses("enrol") == {401}
        assert statuses("admin") == {200}
        assert all(key not in service.log for key, _ in KEYS.values())


def swapped(path: Path, text: str) -> None:
    """As secrets are mounted: another file takes the name."""
    successor = path.with_suffix(".new")
    successor.write_text(text)
    successor.rename(path)


def lines(*names: str) -> str:
    return "\n".join(KEYS[name][1] for name in names)


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "in_force", "complaint"),
    [
        pytest.param(lambda path: path.write_text(lines("login")), {"login"}, None, id="fewer"),
        pytest.param(
            lambda path: path.write_text(lines("login", "admin", "enrol")),
            {"login", "enrol", "admin"},
            None,
            id="more",
        ),
        pytest.param(lambda path: path.unlink(), {"login", "admin"}, "No such file", id="missing"),
        pytest.param(
            lambda path: path.write_bytes(b"\xff\xfe"), {"login", "admin"}, "UTF-8", id="no text"
        ),
        pytest.param(lambda path: path.write_text(""), set(), "no key", id="empty"),
        pytest.param(
            # who is removed stays removed, and nobody is added, until it is whole
            lambda path: path.write_text(lines("enrol", "login") + "\nx:admin:nonsense"),
            {"login"},
            "entry 3",
            id="one entry is broken",
        ),
        pytest.param(
            lambda path: path.write_text(lines("login").replace(":login:", ":admin:") + " broken"),
            set(),
            "entry 2",
            id="promoted in a broken file",
        ),
    ],
)
def test_a_file_that_changes(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: Change,
    in_force: set[str],
    complaint: str | None,
) -> None:
    path = tmp_path / "keys"
    path.write_text(lines("login", "admin"))
    ring = KeyRing(path=path)
    assert ring.find(KEYS["enrol"][0]) is None
    with caplog.at_level(logging.ERROR):
        change(path)
        found = {role: ring.find(key) for role, (key, _) in KEYS.items()}
    assert {role for role, key in found.items() if key and key.may(Role(role))} == in_force
    if complaint:
        assert complaint in caplog.text
    path.write_text(lines("login", "enrol", "admin"))
    assert all(ring.find(key) for key, _ in KEYS.values())


def test_changes_in_quick_succession_are_all_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(lines("login"))
    ring = KeyRing(path=path)
    for _ in range(200):
        for name in ("admin", "enrol"):  # files of the same length
            path.write_text(lines(name))
            assert ring.find(KEYS[name][0])


def test_what_cannot_be_read_at_the_start_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(KeysError, match=f"{path} .API_KEYS_FILE. cannot be read: No such file"):
        KeyRing(path=path)
    for text, sentence in [
        ("", "holds no key: make one with flask --app entry keys new"),
        ("a:login:" + "0" * 63, "entry 1 is not of the form"),
        ("a:boss:" + "0" * 64, "entry 1: 'boss' is no role"),
        (f"{lines('login')} {lines('login')}", "entry 2: the id .* is there twice"),
    ]:
        path.write_text(text)
        with pytest.raises(KeysError, match=sentence) as caught:
            KeyRing(path=path)
        assert str(path) in str(caught.value)
        with pytest.raises(KeysError, match=f"API_KEYS:? .*{sentence}|API_KEYS:? {sentence}"):
            KeyRing(text)


def test_a_key_may_have_several_roles() -> None:
    key, line = new_key([Role.LOGIN, Role.ENROL], "reception")
    found = KeyRing(f"{lines('admin')} {line}").find(key)
    assert found is not None
    assert found.key_id == "reception"
    assert found.may(Role.LOGIN)
    assert found.may(Role.ENROL)
    assert not found.may(Role.ADMIN)
    assert key not in line


def flask(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "entry", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_makes_a_key_that_works() -> None:
    made = flask("keys", "new", "--role", "login", "--role", "enrol", "--id", "front-desk")
    assert made.returncode == 0
    key, line = made.stdout.split()
    found = KeyRing(line).find(key)
    assert found is not None
    assert found.key_id == "front-desk"
    assert found.roles == {Role.LOGIN, Role.ENROL}
    for wrong in (["--role", "boss"], [], ["--role", "login", "--id", "front desk"]):
        refused = flask("keys", "new", *wrong)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


def test_a_wrong_key_costs_no_more_than_a_right_one(closed: FlaskClient) -> None:
    """No slow hash for each request."""
    started = time.perf_counter()
    for _ in range(200):
        closed.delete("/api/5", headers={"X-API-Key": "wrong"})
    assert time.perf_counter() - started < 5
