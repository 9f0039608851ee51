"""JSON made to cost much or to be read in two ways is refused with a 400 that says why."""

import json
import time
import tracemalloc

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.features import DIMENSION, random_vector

STORE = "/api/store/1"
ENROLMENT = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}


def send(client: FlaskClient, body: bytes | str, path: str = STORE) -> TestResponse:
    return client.post(path, data=body, content_type="application/json")


def with_more(more: str) -> str:
    return json.dumps(ENROLMENT)[:-1] + f", {more}}}"


@pytest.mark.parametrize("name", ["name", "img_features", "unknown"])
def test_a_member_that_is_named_twice(client: FlaskClient, name: str) -> None:
    value = json.dumps(ENROLMENT.get(name, 1))
    body = with_more(f'"{name}": {value}')
    if name == "unknown":
        body = with_more('"a": {"unknown": 1, "unknown": 2}')
    response = send(client, body)
    assert (response.status_code, response.text) == (
        400,
        f"the body names '{name}' more than once",
    )


def test_a_member_that_is_named_twice_in_two_spellings(client: FlaskClient) -> None:
    assert send(client, with_more('"\\u006eame": "Eve"')).status_code == 400


def test_a_member_that_is_named_twice_among_very_many(client: FlaskClient) -> None:
    many = ",".join(f'"{number}":1' for number in [*range(100_000), 99_999])
    began = time.process_time()
    response = send(client, with_more(f'"more": {{{many}}}'))
    assert (response.status_code, response.text) == (400, "the body names '99999' more than once")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("levels", [9, 500, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting(client: FlaskClient, levels: int, opening: str, closing: str) -> None:
    inner = opening * levels + "1" + closing * levels
    response = send(client, with_more(f'"more": {inner}'))
    assert (response.status_code, response.text) == (
        400,
        "the body is nested more than 8 levels deep",
    )


def test_nesting_up_to_the_limit_is_passed_over(client: FlaskClient) -> None:
    assert send(client, with_more('"more": ' + "[" * 7 + "]" * 7)).status_code == 200


@pytest.mark.parametrize("value", ["0", "[]", "{}", '""', "[0]", "null"])
def test_many_values_cost_no_memory(client: FlaskClient, value: str) -> None:
    many = ",".join([value] * (1_900_000 // (len(value) + 1)))
    body = with_more(f'"more": [{many}]').encode()
    tracemalloc.start()
    response = send(client, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert response.status_code == 400
    assert response.text == "the body holds more than 204800 values"
    assert peak < 6 * len(body)


def test_as_many_values_as_an_employee_may_have_are_read(client: FlaskClient) -> None:
    short = [[0.5] * DIMENSION] * 100
    assert send(client, json.dumps(ENROLMENT | {"img_features": short})).status_code == 200


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Gr\0ace", "holds a control character or a line break"),
        ("Grace\nadmin", "holds a control character or a line break"),
        ("Grace\x1b[2J", "holds a control character or a line break"),
        ("Gr\x85ace", "holds a control character or a line break"),
        ("Gr\u2028ace", "holds a control character or a line break"),
        ("\u202eecarG", "holds a character that changes the direction of text"),
        ("Gr\u2066ace", "holds a character that changes the direction of text"),
        ("\u200b\u200d", "has no visible characters"),
        ("\ud800", "is not valid Unicode"),
        ("x" * 1_900_000, "has more than 200 characters"),
    ],
)
def test_names_that_would_not_show_as_they_are(client: FlaskClient, name: str, what: str) -> None:
    response = client.post(STORE, json=ENROLMENT | {"surname": name})
    assert (response.status_code, response.text) == (400, f"surname: {what}")


@pytest.mark.parametrize(
    "name", ["Nguyễn", "O’Brien-Łoś", "محمد", "בן־גוריון", "می‌خواهم", "陈", "Zoë 🙂", "d'Arc, J."]
)
def test_names_of_the_world_are_taken(client: FlaskClient, name: str) -> None:
    assert client.post(STORE, json=ENROLMENT | {"surname": name}).status_code == 200
    (user,) = client.get("/api/get_all/30/1").get_json()["users"]
    assert user["surname"] == name


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5_000])
def test_numbers_out_of_range_are_refused(client: FlaskClient, number: str) -> None:
    body = with_more('"x": 1').replace(json.dumps(ENROLMENT["img_features"]), f"[[{number}]]")
    assert send(client, body).status_code == 400


def test_the_largest_and_least_numbers_make_a_unit_vector(client: FlaskClient) -> None:
    vectors = [[1e308] * DIMENSION, [-5e-324] * DIMENSION, [1e308] + [5e-324] * (DIMENSION - 1)]
    assert client.post(STORE, json=ENROLMENT | {"img_features": vectors}).status_code == 200
    (user,) = client.get("/api/get_all/30/1").get_json()["users"]
    for vector in user["img"]:
        assert sum(number**2 for number in vector) == pytest.approx(1, abs=1e-5)
