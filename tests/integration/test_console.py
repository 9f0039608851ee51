"""How the console is served: to whom, with which headers, and not at all if it is off."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from testbed.serving import ready_app

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
STATIC = Path(__file__).parents[2] / "app" / "console" / "static"
FILES = sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of a service whose console is off."""
    app = ready_app(tmp_path_factory.mktemp("off"), console=False)
    yield app.test_client()
    app.extensions["service"].stop()


@pytest.mark.parametrize("file", ["", *FILES])
def test_every_file_is_served_under_a_strict_policy(client: FlaskClient, file: str) -> None:
    response = client.get(f"/console/{file}")
    assert response.status_code == 200
    assert response.data == (STATIC / (file or "index.html")).read_bytes()
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy["frame-ancestors"] == policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert "camera=(self)" in response.headers["Permissions-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_files_have_their_type(client: FlaskClient, file: str, kind: str) -> None:
    assert client.get(f"/console/{file}").headers["Content-Type"] == kind


def test_files_travel_compressed(client: FlaskClient) -> None:
    response = client.get("/console/style.css", headers={"Accept-Encoding": "gzip, br"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == (STATIC / "style.css").read_bytes()
    assert response.headers["Vary"] == "Accept-Encoding"
    plain = client.get("/console/style.css", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["ETag"] != response.headers["ETag"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_file_that_the_browser_has_is_not_sent_again(client: FlaskClient, encoding: str) -> None:
    asked = {"Accept-Encoding": encoding}
    first = client.get("/console/app.js", headers=asked)
    asked["If-None-Match"] = first.headers["ETag"]
    again = client.get("/console/app.js", headers=asked)
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/console/style.css", headers=asked).status_code == 200


@pytest.mark.parametrize(
    "path", ["/none.js", "/../__init__.py", "/pages", "/pages/", "//app.js", "/app.js/"]
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(f"/console{path}").status_code == 404


def test_whoever_forgets_the_slash_is_led_there(client: FlaskClient) -> None:
    response = client.get("/console")
    assert (response.status_code, response.headers["Location"]) == (302, "console/")


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/app.js"])
def test_a_console_that_is_off_is_not_there(without: FlaskClient, path: str) -> None:
    assert without.get(path).status_code == 404


def test_without_a_console_the_root_leads_to_the_description(without: FlaskClient) -> None:
    response = without.get("/", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (302, "docs")
    said = without.get("/").get_json()
    assert (said["docs"], said["console"]) == ("/docs", None)


def test_everybody_may_do_everything_without_keys(client: FlaskClient) -> None:
    assert client.get("/api/v2/me").get_json() == {
        "keys_required": False,
        "key_id": None,
        "roles": ["login", "enrol", "monitor", "admin"],
        "groups": None,
        "checks": ["fraud"],
    }


def test_a_key_learns_its_roles_groups_and_checks(tmp_path: Path) -> None:
    key, line = new_key([Role.LOGIN, Role.ENROL], "site", ["site-b", "site-a"])
    address = "http://127.0.0.1:9"
    app = ready_app(tmp_path, api_keys=line, liveness_service_url=address)
    answer = app.test_client().get("/api/v2/me", headers={"X-API-Key": key})
    app.extensions["service"].stop()
    assert answer.get_json() == {
        "keys_required": True,
        "key_id": "site",
        "roles": ["enrol", "login"],
        "groups": ["site-a", "site-b"],
        "checks": ["liveness", "fraud"],
    }
