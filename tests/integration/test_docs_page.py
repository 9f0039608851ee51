"""`/docs`, `/` and unknown addresses: whoever is lost finds the description, offline."""

import re
import shlex
from base64 import b64encode
from hashlib import sha256
from html import unescape

import pytest
from flask.testing import FlaskClient

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_every_call_is_on_the_page(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.mimetype == "text/html"
    paths = client.get("/openapi.json").get_json()["paths"]
    for path, methods in paths.items():
        assert f"<code>{path}</code>" in page.text
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text


def test_links_lead_somewhere(client: FlaskClient) -> None:
    page = client.get("/docs").text
    ids = set(re.findall(r' id="([^"]+)"', page))
    for target in re.findall(r'href="([^"]+)"', page):
        assert target.removeprefix("#") in ids or client.get(f"/{target}").status_code == 200


def test_the_page_loads_and_runs_nothing(client: FlaskClient) -> None:
    page = client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = re.search("<style>(.*)</style>", page.text, re.DOTALL)
    assert style
    assert b64encode(sha256(style[1].encode()).digest()).decode() in policy
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|style=", page.text)


def test_commands_of_the_page_are_complete(client: FlaskClient) -> None:
    commands = re.findall("<pre>(.*?)</pre>", client.get("/docs").text, re.DOTALL)
    assert len(commands) >= 20
    for command in commands:
        words = shlex.split(command.replace("&#34;", '"').replace("&#39;", "'"))
        assert words[0] == "curl"
        assert words[1].startswith("$SERVICE/")
        assert "{" not in words[1]


def test_members_are_described_on_the_page(client: FlaskClient) -> None:
    page = unescape(client.get("/docs").text)
    document = client.get("/openapi.json").get_json()
    obvious = {"name", "surname", "photo", "employee_id"}
    for name, schema in document["components"]["schemas"].items():
        for member, kind in schema.get("properties", {}).items():
            if name.endswith("Body"):
                assert "description" in kind or member in obvious, (name, member)
            if not name.endswith("Form"):
                assert kind.get("description", "") in page, (name, member)
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                assert "description" in parameter or parameter["in"] == "path", parameter
                assert parameter.get("description", "") in page, parameter


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/plain"])
def test_the_root_says_where_to_go(client: FlaskClient, accept: str) -> None:
    said = client.get("/", headers={"Accept": accept}).get_json()
    assert said["docs"] == "/docs"
    for name in ("docs", "openapi", "readiness", "console"):
        assert client.get(said[name]).status_code == 200


def test_a_browser_goes_from_the_root_to_the_console(client: FlaskClient) -> None:
    response = client.get("/", headers={"Accept": BROWSER}, follow_redirects=True)
    assert response.request.path == "/console/"


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/", "/api/v2/people"])
def test_an_unknown_address_of_version_2_names_the_page(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"
    assert "/docs" in response.get_json()["title"]
