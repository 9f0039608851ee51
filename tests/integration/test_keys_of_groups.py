"""An API key that is bound to groups: nobody else exists for it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.features import random_vector

EVERYBODYS, SITE_A, SITE_B = (
    new_key([Role.ADMIN], name, groups)
    for name, groups in (("all", ()), ("a", ("site-a",)), ("b", ("site-b", "site-c")))
)
ASTRONAUT = {"img_base64": photos.astronaut()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    lines = " ".join(line for _, line in (EVERYBODYS, SITE_A, SITE_B))
    app = ready_app(tmp_path_factory.mktemp("sites"), api_keys=lines)
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def sites(app: Flask) -> tuple[FlaskClient, FlaskClient, FlaskClient]:
    """Clients with the key of everybody, of site a, and of site b."""
    clients = []
    for key, _ in (EVERYBODYS, SITE_A, SITE_B):
        client = app.test_client()
        client.environ_base["HTTP_X_API_KEY"] = key
        clients.append(client)
    for user in listed(clients[0]):
        clients[0].delete(f"/api/{user}")
    return clients[0], clients[1], clients[2]


def listed(client: FlaskClient) -> list[int]:
    return [user["_id"] for user in client.get("/api/get_all/100/1").get_json()["users"]]


def status(client: FlaskClient, method: str, path: str, **body: object) -> int:
    json = {"name": "Ada", "surname": "Lovelace", **body} if body else None
    return client.open(path, method=method, json=json).status_code


def test_only_people_of_the_group_are_found_by_face(
    sites: tuple[FlaskClient, FlaskClient, FlaskClient],
) -> None:
    everybody, site_a, site_b = sites
    assert status(site_a, "POST", "/api/store/1", **ASTRONAUT) == 200
    for client, expected in ((everybody, 200), (site_a, 200), (site_b, 406)):
        assert client.post("/api/find_match", json=ASTRONAUT).status_code == expected


def test_nobody_else_is_listed_changed_or_deleted(
    sites: tuple[FlaskClient, FlaskClient, FlaskClient],
) -> None:
    everybody, site_a, site_b = sites
    for employee_id, client in enumerate(sites):
        vectors = [random_vector(employee_id)]
        assert status(client, "POST", f"/api/store/{employee_id}", img_features=vectors) == 200
    assert (listed(everybody), listed(site_a), listed(site_b)) == ([0, 1, 2], [1], [2])
    new = [random_vector(9)]
    assert status(site_a, "PUT", "/api/store/2", img_features=new) == 404
    assert status(site_a, "POST", "/api/store/2", img_features=new) == 409
    assert status(site_a, "GET", "/api/employees/2/export") == 404
    assert status(site_a, "DELETE", "/api/2") == 200  # as if nobody had that id
    assert listed(everybody) == [0, 1, 2]
    assert status(site_a, "PUT", "/api/store/1", img_features=new) == 200
    assert status(everybody, "PUT", "/api/store/2", img_features=[random_vector(8)]) == 200
    assert (listed(site_a), listed(site_b)) == ([1], [2])  # groups stay
    assert status(site_a, "DELETE", "/api/1") == 200
    assert listed(everybody) == [0, 2]
