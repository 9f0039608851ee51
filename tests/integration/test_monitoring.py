"""The endpoints for monitoring: who may read them, and what they say."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml  # type: ignore[import-untyped]
from flask import Flask
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from app.metrics import ENDPOINTS
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from app.version import VERSION
from testbed.alerts import RULES
from testbed.employees import fill
from testbed.prometheus import Query, Samples, parse, value
from testbed.serving import ROOT, ready_app
from tests.support import sent_photos as photos
from tests.support.features import alike
from tools import dashboard

QUERIES = [rule.expression for rule in RULES.values()]
QUERIES += [query for panel in dashboard.PANELS for query in panel.queries.values()]
PAGE = (ROOT / "docs/monitoring.md").read_text()


def read(client: FlaskClient) -> Samples:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return parse(response.text)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all metrics of a service that has measured its gallery."""
    folder = tmp_path_factory.mktemp("named")
    SqliteStore(folder / "employees.db").close()
    fill(
        folder / "employees.db",
        (
            Employee(number, "Ada", "Lovelace", np.array([vector], np.float32), "dlib")
            for number, vector in enumerate(alike(100))
        ),
    )
    app = ready_app(folder, login_match_threshold="auto")  # which measures before it is ready
    found = set(read(app.test_client()))
    app.extensions["service"].stop()
    return found


def test_every_metric_that_an_alert_or_a_panel_names_exists(names: set[str]) -> None:
    for query in QUERIES:
        named = Query(query).names
        assert named
        assert {*named} <= names, query


def test_every_metric_is_documented(names: set[str]) -> None:
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    cells = re.findall(r"^\| (`image_registration_.*?) \|", PAGE, re.MULTILINE)
    assert families == {name for cell in cells for name in re.findall(r"\w+", cell)}


def test_every_endpoint_has_its_label(app: Flask) -> None:
    assert {name.rpartition(".")[2] for name in app.view_functions} == set(ENDPOINTS)


def test_a_login_is_counted_with_its_stages(client: FlaskClient) -> None:
    body = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
    assert client.post("/api/store/1", json=body).status_code == 200
    before = read(client)
    assert client.post("/api/find_match", json={"img_base64": photos.admiral()}).status_code == 200
    assert (
        client.post("/api/find_match", json={"img_base64": photos.astronaut()}).status_code == 406
    )
    claim = {"employee_id": 1, "photo": photos.admiral()}
    assert client.post("/api/v2/verifications", json=claim).status_code == 200
    claim["photo"] = photos.astronaut()
    assert client.post("/api/v2/verifications", json=claim).status_code == 406
    after = read(client)

    def risen(name: str, **labels: str) -> float:
        name = f"image_registration_{name}"
        return value(after, name, **labels) - value(before, name, **labels)

    assert risen("logins_total", kind="identification", outcome="match") == 1
    assert risen("logins_total", kind="identification", outcome="no_match") == 1
    assert risen("logins_total", kind="verification", outcome="match") == 1
    assert risen("logins_total", kind="verification", outcome="not_verified") == 1
    assert risen("requests_total", endpoint="find_match", status="406") == 1
    assert risen("errors_total", code="no_match") == 1
    assert risen("login_distance_count") == 2
    assert risen("login_distance_bucket", le="0.2") == 1
    for stage, times in (("recognition", 4), ("search", 2)):
        assert risen("stage_seconds_count", stage=stage) == times
        assert 0 < risen("stage_seconds_sum", stage=stage) < 60
    assert value(after, "image_registration_gallery_employees") == 1
    assert value(after, "image_registration_threshold") == 0.8
    assert value(after, "image_registration_requests_in_flight") == 1  # this one


def test_no_label_holds_anything_about_a_person(client: FlaskClient) -> None:
    body = {"name": "Zaphod", "surname": "Beeblebrox", "img_base64": photos.admiral()}
    assert client.post("/api/store/424242", json=body).status_code == 200
    assert client.post("/api/find_match", json={"img_base64": photos.admiral()}).status_code == 200
    assert client.get("/api/employees/424242/export").status_code == 200
    text = client.get("/metrics").text
    for word in ("Zaphod", "Beeblebrox", "424242"):
        assert word not in text


def test_a_key_for_monitoring_reads_metrics_and_nothing_else(tmp_path: Path) -> None:
    key, line = new_key([Role.MONITOR])
    app = ready_app(tmp_path, api_keys=line)
    client = app.test_client()
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/metrics").status_code == 401
    for method, path in (("GET", "/api/get_all/1/1"), ("DELETE", "/api/1")):
        assert client.open(path, method=method, headers=headers).status_code == 403
    app.extensions["service"].stop()


def test_prometheus_finds_the_pods_behind_the_service() -> None:
    monitor, service = (
        yaml.safe_load((ROOT / f"openshift/{path}.yaml").read_text())
        for path in ("monitoring/service-monitor", "base/service")
    )
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    folder = yaml.safe_load((ROOT / "openshift/monitoring/kustomization.yaml").read_text())
    assert folder["resources"] == ["service-monitor.yaml", "alerts.yaml"]


def test_the_version_is_told_everywhere(client: FlaskClient) -> None:
    assert client.get("/version").get_json() == {"version": VERSION}
    assert client.get("/openapi.json").get_json()["info"]["version"] == VERSION
    (info,) = read(client)["image_registration_info"]
    assert dict(info)["version"] == VERSION
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "app.version.VERSION"}


def test_readyz_lists_the_parts(client: FlaskClient) -> None:
    parts = client.get("/readyz").get_json()["parts"]
    assert {part: told["state"] for part, told in parts.items()} == {
        "model": "ok",
        "database": "ok",
        "index": "ok",
        "slots": "ok",
        "audit_log": "off",
        "liveness": "off",
    }
