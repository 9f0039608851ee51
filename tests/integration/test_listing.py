"""Pages of employees: large ones take bounded memory, and many at once leave room for others."""

from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.storage.sqlite.store import SqliteStore
from testbed.employees import someone
from testbed.serving import ready_app

VECTORS = 100  # as many as an employee may have
DIMENSION = 512


def fill(path: Path, employees: int) -> None:
    """Store people with as many and as long vectors as may be."""
    store = SqliteStore(path)
    for employee_id in range(employees):
        employee = someone(employee_id, dimension=DIMENSION)
        vectors = np.repeat(employee.vectors[:1], VECTORS, axis=0)
        store.add(type(employee)(employee_id, "Ada", "Byron", vectors, "facenet-other"))
    store.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("pages")
    fill(folder / "employees.db", 70)
    return ready_app(folder).test_client()


def test_the_page_that_the_frontend_asks_for_fits_whatever_people_have(client: FlaskClient) -> None:
    answer = client.get("/api/get_all/30/1")
    assert answer.status_code == 200
    users = answer.get_json()["users"]
    assert len(users) == 30
    assert np.shape(users[0]["img"]) == (VECTORS, DIMENSION)


def test_a_page_that_is_too_large_says_what_to_ask_for(client: FlaskClient) -> None:
    answer = client.get("/api/get_all/1000/1")
    assert (answer.status_code, answer.text) == (
        400,
        "page_size: the feature vectors of so many people are too large for one page, "
        "ask for fewer than 70",
    )
