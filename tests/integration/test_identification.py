"""Login by face: the nearest employee in the whole gallery, as the store holds it right then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.gallery.distances import COMPARED
from app.recognition.recogniser import Recogniser
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.photos import ASTRONAUT
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.features import at_distance, random_vector

# What the model `dlib` multiplies the L2 distance of unit vectors with.
SCALE = 2.15


def enrol(client: FlaskClient, employee_id: int, *vectors: list[float]) -> None:
    body = {"name": f"name {employee_id}", "surname": "x", "img_features": list(vectors)}
    assert client.post(f"/api/store/{employee_id}", json=body).status_code == 200


def enrol_photo(client: FlaskClient, employee_id: int, photo: str) -> None:
    body = {"name": f"name {employee_id}", "surname": "x", "img_base64": photo}
    assert client.post(f"/api/store/{employee_id}", json=body).status_code == 200


def find(client: FlaskClient, photo: str | None = None, **more: object) -> int | str:
    """The id that is found, or the sentence. The probe is the astronaut unless told."""
    body = {"img_base64": photo or photos.astronaut(), **more}
    response = client.post("/api/find_match", json=body)
    if response.status_code == 200:
        employee_id: int = response.get_json()["_id"]
        return employee_id
    assert response.status_code in (406, 422)
    return response.text


@pytest.fixture(scope="module")
def probe(recogniser: Recogniser) -> list[float]:
    """The feature vector of the astronaut's photo."""
    vector: list[float] = recogniser.for_login(ASTRONAUT.read_bytes()).tolist()
    return vector


def near(probe: list[float], distance: float, seed: int = 0) -> list[float]:
    """A vector at that distance of the probe, as the service measures it."""
    return at_distance(probe, distance / SCALE, seed)


@pytest.mark.parametrize("order", [(0.6, 0.3, 0.5), (0.3, 0.5, 0.6), (0.6, 0.5, 0.3)])
def test_the_nearest_is_found_not_the_first_below_the_threshold(
    client: FlaskClient, probe: list[float], order: tuple[float, ...]
) -> None:
    for employee_id, distance in enumerate(order, 1):
        enrol(client, employee_id, near(probe, distance, employee_id))
    assert find(client) == 1 + order.index(0.3)


def test_the_nearest_is_found_among_many(client: FlaskClient, probe: list[float]) -> None:
    for employee_id in range(60):
        enrol(client, employee_id, near(probe, 2 - 0.04 * (employee_id % 47), employee_id))
    assert find(client) == 46
    assert client.delete("/api/46").status_code == 200
    assert find(client) == 45


@pytest.mark.parametrize(("second", "found"), [(0.52, "no matches found"), (0.54, 1)])
def test_two_who_are_about_as_near_are_not_told_apart(
    client: FlaskClient, probe: list[float], second: float, found: int | str
) -> None:
    enrol(client, 1, near(probe, 0.5, 1))
    enrol(client, 2, near(probe, second, 2))
    assert find(client) == found


def test_an_employee_is_as_near_as_the_nearest_vector(
    client: FlaskClient, probe: list[float]
) -> None:
    enrol(client, 1, near(probe, 0.4, 1), near(probe, 0.4, 2), near(probe, 0.4, 3))
    enrol(client, 2, random_vector(1), near(probe, 0.3, 4), random_vector(2))
    assert find(client) == 2


def test_many_vectors_of_one_employee_hide_nobody(client: FlaskClient, probe: list[float]) -> None:
    enrol(client, 1, *[near(probe, 0.5, seed) for seed in range(100)])
    enrol(client, 2, near(probe, 0.6))
    assert find(client) == 1
    assert client.delete("/api/1").status_code == 200
    assert find(client) == 2


def test_who_is_near_to_many_people_is_none_of_them(
    client: FlaskClient, probe: list[float]
) -> None:
    enrol(client, 1, near(probe, 0.6))
    for employee_id in range(2, 20):
        enrol(client, employee_id, near(probe, 0.7, employee_id))
        assert find(client) == (1 if employee_id < COMPARED else "no matches found")


def test_relatives_lock_nobody_out(client: FlaskClient, probe: list[float]) -> None:
    enrol(client, 1, near(probe, 0.6))
    for employee_id in range(2, 20):
        enrol(client, employee_id, near(probe, 0.65 if employee_id < 4 else 1.1, employee_id))
    assert find(client) == 1


@pytest.mark.parametrize(("distance", "found"), [(0.79, 1), (0.81, "no matches found")])
def test_the_default_threshold(
    client: FlaskClient, probe: list[float], distance: float, found: int | str
) -> None:
    enrol(client, 1, near(probe, distance))
    assert find(client) == found


@pytest.mark.parametrize("threshold", [0.4, 1])
def test_only_what_is_nearer_than_the_threshold_matches(
    tmp_path: Path, probe: list[float], threshold: float
) -> None:
    app = ready_app(tmp_path, login_match_threshold=threshold)
    client = app.test_client()
    for distance in (0.39, 0.41, 0.99, 1.01):
        enrol(client, 1, near(probe, distance))
        nearer = distance < threshold
        assert find(client) == (1 if nearer else "no matches found")
        assert client.delete("/api/1").status_code == 200
    app.extensions["service"].stop()


def test_a_threshold_of_0_lets_nobody_in(tmp_path: Path) -> None:
    app = ready_app(tmp_path, login_match_threshold=0)
    enrol_photo(app.test_client(), 1, photos.astronaut())
    assert find(app.test_client(), photos.astronaut()) == "no matches found"
    app.extensions["service"].stop()


def test_the_largest_face_of_a_probe_is_looked_up(client: FlaskClient) -> None:
    enrol_photo(client, 1, photos.astronaut())
    enrol_photo(client, 2, photos.admiral())
    assert find(client, photos.both(admirals_height=250)) == 1
    assert find(client, photos.both(admirals_height=1000)) == 2


@pytest.mark.parametrize("crop", [True, False])
def test_the_face_is_looked_for_whether_the_client_has_cropped_or_not(
    client: FlaskClient, crop: bool
) -> None:
    enrol_photo(client, 1, photos.astronaut())
    assert find(client, photos.astronaut_face(), img_crop=crop) == 1
    assert find(client, photos.astronaut(), img_crop=crop) == 1
    assert find(client, photos.coffee(), img_crop=crop) == "no face was found in the picture"


@pytest.fixture
def file(app: Flask, client: FlaskClient) -> Path:
    """The SQLite file of the service that `client` asks."""
    address: str = app.extensions["service"].store.address
    return Path(address.removeprefix("sqlite:"))


@pytest.fixture
def colleague(file: Path) -> Iterator[SqliteStore]:
    """What another process does to the same employees."""
    with closing(SqliteStore(file)) as store:
        yield store


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    """What somebody does to the file by hand; the change log knows nothing of it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def someone(employee_id: int, vector: list[float], model: str = "dlib") -> Employee:
    return Employee(employee_id, "New", "Face", np.array([vector], np.float32), model)


def test_what_another_model_computed_never_matches(
    client: FlaskClient, colleague: SqliteStore, probe: list[float]
) -> None:
    enrol(client, 2, near(probe, 0.1))
    colleague.add(someone(1, probe, model="other"))
    assert find(client) == 2
    enrol(client, 3, near(probe, 1.5))
    colleague.replace(someone(2, probe, model="other"))
    assert find(client) == "no matches found"


def test_a_manually_deleted_employee_never_matches(
    client: FlaskClient, database: sqlite3.Connection, probe: list[float]
) -> None:
    for employee_id in range(20):
        enrol(client, employee_id, near(probe, 0.05 + 0.04 * employee_id, employee_id))
    enrol(client, 77, near(probe, 0.5))
    assert find(client) == 0
    database.execute("DELETE FROM employees WHERE employee_id < 20")
    assert find(client) == 77
    database.execute("DELETE FROM employees")
    assert find(client) == "no matches found"


def test_vectors_replaced_by_hand_no_longer_match(
    client: FlaskClient, database: sqlite3.Connection, probe: list[float]
) -> None:
    enrol(client, 1, near(probe, 0.1))
    assert find(client) == 1
    stranger = np.array(random_vector(1), "<f4").tobytes()
    database.execute("UPDATE employees SET vectors = ?", (stranger,))
    assert find(client) == "no matches found"


def test_a_name_changed_by_hand_is_answered_as_it_is_now(
    client: FlaskClient, database: sqlite3.Connection
) -> None:
    enrol_photo(client, 1, photos.astronaut())
    database.execute("UPDATE employees SET name = 'Ilin'")
    response = client.post("/api/find_match", json={"img_base64": photos.astronaut()})
    assert response.get_json() == {"_id": 1, "name": "Ilin", "surname": "x"}


def test_more_changes_than_the_log_remembers(
    client: FlaskClient, colleague: SqliteStore, database: sqlite3.Connection, probe: list[float]
) -> None:
    enrol(client, 1, near(probe, 0.1))
    assert find(client) == 1
    colleague.remove(1)
    colleague.add(someone(2, near(probe, 0.2)))
    colleague.add(someone(3, near(probe, 0.3)))
    database.execute("DELETE FROM changes WHERE number < (SELECT max(number) FROM changes)")
    assert find(client) == 2


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_template_that_is_no_vector_matches_nobody(
    client: FlaskClient, colleague: SqliteStore, probe: list[float], number: float
) -> None:
    broken = np.full((1, len(probe)), number, np.float32)
    colleague.add(Employee(1, "broken", "x", broken, "dlib"))
    assert find(client) == "no matches found"
    enrol(client, 2, near(probe, 0.5))
    assert find(client) == 2


def test_a_template_of_another_length_keeps_nobody_out(
    client: FlaskClient, colleague: SqliteStore, probe: list[float]
) -> None:
    colleague.add(Employee(1, "odd", "x", np.eye(1, 64, dtype=np.float32), "dlib"))
    enrol(client, 2, near(probe, 0.5))
    assert find(client) == 2
