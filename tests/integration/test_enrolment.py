"""Enrolment, replacement, removal and listing of employees."""

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.support import sent_photos as photos
from tests.support.features import random_vector

EILEEN = {"name": "Eileen", "surname": "Collins"}
GRACE = {"name": "Grace", "surname": "Hopper"}


def enrol(client: FlaskClient, employee_id: int, **body: object) -> None:
    response = client.post(f"/api/store/{employee_id}", json=EILEEN | body)
    assert (response.status_code, response.text) == (200, "ok")


def page(client: FlaskClient, size: int = 30, number: int = 1) -> list[dict[str, Any]]:
    response = client.get(f"/api/get_all/{size}/{number}")
    assert response.status_code == 200
    assert list(response.get_json()) == ["users"]
    users: list[dict[str, Any]] = response.get_json()["users"]
    return users


def ids(users: list[dict[str, Any]]) -> list[int]:
    return [user["_id"] for user in users]


def stored_vectors(client: FlaskClient) -> np.ndarray:
    """Those of the only employee."""
    (user,) = page(client)
    return np.array(user["img"])


def find(client: FlaskClient, photo: str) -> int:
    """The id that is found, or the status."""
    response = client.post("/api/find_match", json={"img_base64": photo})
    employee_id: int = (response.get_json() or {}).get("_id", response.status_code)
    return employee_id


def test_an_employee_has_exactly_these_keys(client: FlaskClient) -> None:
    enrol(client, 0, img_base64=photos.astronaut())
    (user,) = page(client)
    assert list(user) == ["_id", "name", "surname", "img"]
    assert (user["_id"], user["name"], user["surname"]) == (0, "Eileen", "Collins")


def test_a_photo_becomes_one_unit_vector(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut())
    vectors = stored_vectors(client)
    assert vectors.shape == (1, 128)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)


def test_several_photos_become_as_many_vectors(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=[photos.astronaut(), photos.astronaut_again()])
    assert stored_vectors(client).shape == (2, 128)
    assert find(client, photos.astronaut_again()) == 1
    assert find(client, photos.admiral()) == 406


def test_photos_of_different_people_are_not_enrolled_as_one(client: FlaskClient) -> None:
    body = GRACE | {"img_base64": [photos.astronaut(), photos.admiral()]}
    response = client.post("/api/store/1", json=body)
    assert response.status_code == 422
    assert response.text == "the pictures show different people, enrol one person"
    assert page(client) == []


@pytest.mark.parametrize("length", [1e-300, 1e-30, 0.5, 1, 1e6, 1e300])
def test_given_vectors_are_brought_to_unit_length(client: FlaskClient, length: float) -> None:
    direction = random_vector(1)
    enrol(client, 1, img_features=[[length * number for number in direction]])
    np.testing.assert_allclose(stored_vectors(client), [direction], atol=1e-7)


def test_several_vectors_keep_their_order(client: FlaskClient) -> None:
    vectors = [random_vector(seed) for seed in range(5)]
    enrol(client, 1, img_features=vectors)
    np.testing.assert_allclose(stored_vectors(client), vectors, atol=1e-7)


def test_given_vectors_win_over_a_photo(client: FlaskClient) -> None:
    vector = random_vector(1)
    enrol(client, 1, img_features=[vector], img_base64=photos.astronaut())
    np.testing.assert_allclose(stored_vectors(client), [vector], atol=1e-7)
    assert find(client, photos.astronaut()) == 406


def test_a_photo_is_used_if_there_are_no_vectors(client: FlaskClient) -> None:
    enrol(client, 1, img_features=[], img_base64=photos.astronaut())
    enrol(client, 2, img_features=None, img_base64=photos.admiral())
    assert find(client, photos.astronaut()) == 1
    assert find(client, photos.admiral()) == 2


def test_what_get_all_lists_can_be_enrolled_again(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=[photos.astronaut()])
    (user,) = page(client)
    assert client.delete("/api/1").status_code == 200
    enrol(client, 2, img_features=user["img"])
    assert find(client, photos.astronaut()) == 2


def test_an_id_is_enrolled_once(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut())
    again = client.post("/api/store/1", json=GRACE | {"img_base64": photos.admiral()})
    assert again.status_code == 409
    assert [user["name"] for user in page(client)] == ["Eileen"]
    assert find(client, photos.admiral()) == 406


def test_a_request_sent_again_with_its_key_is_the_same_enrolment(client: FlaskClient) -> None:
    body = EILEEN | {"img_features": [random_vector(1)]}

    def post(key: str, employee_id: int = 1, **changed: object) -> int:
        headers = {"Idempotency-Key": key} if key else {}
        response = client.post(f"/api/store/{employee_id}", json=body | changed, headers=headers)
        return response.status_code

    assert [post('"one"'), post('"one"')] == [200, 200]
    assert [user["name"] for user in page(client)] == ["Eileen"]
    assert [post('"two"'), post(""), post('"one"', name="Ilin")] == [409, 409, 409]
    assert [post('"one"', employee_id=2), post('"one"', employee_id=2)] == [200, 200]
    assert ids(page(client)) == [1, 2]

    assert client.put("/api/store/1", json=body | {"name": "Ilin"}).status_code == 200
    assert post('"one"') == 409
    assert client.delete("/api/1").status_code == 200
    assert [post('"one"'), post('"one"'), post("")] == [200, 200, 409]


def test_put_replaces_names_and_vectors(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut())
    response = client.put("/api/store/1", json=GRACE | {"img_base64": photos.admiral()})
    assert (response.status_code, response.text) == (200, "ok")
    (user,) = page(client)
    assert (user["name"], user["surname"], len(user["img"])) == ("Grace", "Hopper", 1)
    assert find(client, photos.astronaut()) == 406
    assert find(client, photos.admiral()) == 1


def test_put_enrols_nobody_new(client: FlaskClient) -> None:
    response = client.put("/api/store/1", json=GRACE | {"img_base64": photos.admiral()})
    assert response.status_code == 404
    assert page(client) == []


def test_a_replacement_that_is_refused_changes_nothing(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut())
    response = client.put("/api/store/1", json=GRACE | {"img_base64": photos.coffee()})
    assert response.status_code == 422
    assert [user["name"] for user in page(client)] == ["Eileen"]
    assert find(client, photos.astronaut()) == 1


def test_a_removed_employee_is_gone_and_can_come_back(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut())
    response = client.delete("/api/1")
    assert (response.status_code, response.text) == (200, "ok")
    assert page(client) == []
    assert find(client, photos.astronaut()) == 406
    again = client.delete("/api/1")
    assert (again.status_code, again.text) == (200, "ok")
    enrol(client, 1, img_base64=photos.astronaut())
    assert find(client, photos.astronaut()) == 1


def test_two_people_in_a_photo_cannot_be_told_apart(client: FlaskClient) -> None:
    response = client.post("/api/store/1", json=GRACE | {"img_base64": photos.both()})
    assert response.status_code == 422
    assert response.text == "the picture shows several faces (2), enrol one person"
    assert page(client) == []


def test_one_bad_photo_of_several_enrols_nobody(client: FlaskClient) -> None:
    body = GRACE | {"img_base64": [photos.admiral(), photos.coffee()]}
    response = client.post("/api/store/1", json=body)
    assert response.status_code == 422
    assert response.text == "picture 2: no face was found in the picture"
    assert page(client) == []


def test_spaces_around_names_are_dropped(client: FlaskClient) -> None:
    body = {"name": "  Grace\n", "surname": "Murray Hopper ", "img_features": [random_vector(1)]}
    assert client.post("/api/store/1", json=body).status_code == 200
    (user,) = page(client)
    assert (user["name"], user["surname"]) == ("Grace", "Murray Hopper")


def test_unknown_fields_are_ignored(client: FlaskClient) -> None:
    enrol(client, 1, img_features=[random_vector(1)], department="astronauts")
    assert ids(page(client)) == [1]


def test_pages_are_sorted_by_id_and_end_empty(client: FlaskClient) -> None:
    for employee_id in (10, 9, 2**40, 0, 100, 3, 1):
        enrol(client, employee_id, img_features=[random_vector(employee_id)])
    assert ids(page(client)) == [0, 1, 3, 9, 10, 100, 2**40]
    assert [ids(page(client, 3, number)) for number in range(1, 5)] == [
        [0, 1, 3],
        [9, 10, 100],
        [2**40],
        [],
    ]
    assert page(client, 1000, 2**31) == []


def test_nobody_is_enrolled_at_first(client: FlaskClient) -> None:
    assert page(client) == []
