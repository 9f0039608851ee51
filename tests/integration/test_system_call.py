"""`GET /api/v2/system`: what runs here and within which limits, without secrets."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.employees import fill
from testbed.serving import ROOT, ready_app
from tests.support.features import alike


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service of 100 people that has measured its gallery."""
    folder: Path = tmp_path_factory.mktemp("system")
    SqliteStore(folder / "employees.db").close()
    vectors = enumerate(alike(100))
    people = (
        Employee(number, "Ada", "Lovelace", np.array([vector], np.float32), "dlib")
        for number, vector in vectors
    )
    fill(folder / "employees.db", people)
    app = ready_app(
        folder,
        login_match_threshold="auto",
        max_body_mb=3,
        liveness_service_url="http://127.0.0.1:9",
        liveness_token="a-secret-token",
    )
    yield app.test_client()
    app.extensions["service"].stop()


def test_it_says_what_readyz_and_metrics_say(client: FlaskClient) -> None:
    said = client.get("/api/v2/system").get_json()
    ready = client.get("/readyz").get_json()
    assert said["is_ready"]
    assert {name: part["state"] for name, part in said["parts"].items()} == {
        name: part["state"] for name, part in ready["parts"].items()
    }
    assert said["version"] == client.get("/version").get_json()["version"]
    assert said["model"] == {
        "name": "dlib",
        "dimension": 128,
        "licence": "CC0-1.0, public domain",
        "device": ready["device"],
    }
    assert said["model"]["licence"] in (ROOT / "docs/licences.md").read_text()
    assert said["employees"] == ready["employees"] == 100
    assert said["fpir"] == ready["gallery"]["fpir"]
    assert said["threshold"] == ready["gallery"]["threshold"]
    assert said["likely_under_two_ids"] == ready["gallery"]["likely_under_two_ids"]
    assert said["index"] == "memory"
    assert said["workers"] == 1
    metrics = client.get("/metrics").text
    for name, value in said["load"].items():
        assert f"image_registration_{name} {value:g}" in metrics


def test_it_says_the_limits_in_force(client: FlaskClient) -> None:
    limits = client.get("/api/v2/system").get_json()["limits"]
    assert limits["max_body_mb"] == 3
    assert limits["max_image_megapixels"] > 0


def test_it_holds_no_secret(client: FlaskClient) -> None:
    assert "a-secret-token" not in client.get("/api/v2/system").text
