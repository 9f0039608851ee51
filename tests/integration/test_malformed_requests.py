"""A request that is malformed is a 400 that names the field and says what is wrong with it."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import sent_photos as photos
from tests.support.features import DIMENSION, random_vector

WHO = {"name": "Grace", "surname": "Hopper"}
VECTOR = random_vector(1)
STORE = "/api/store/1"
FIND = "/api/find_match"


def features(value: object) -> dict[str, Any]:
    return WHO | {"img_features": value}


def names(name: object) -> dict[str, Any]:
    return {"name": name, "surname": "Hopper", "img_features": [VECTOR]}


def photo(**more: object) -> dict[str, Any]:
    return {"img_base64": photos.astronaut_face(), **more}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (STORE, {"surname": "x", "img_features": [VECTOR]}, "name: is missing"),
        (STORE, {"name": "x", "img_features": [VECTOR]}, "surname: is missing"),
        (STORE, names(""), "name: is empty"),
        (STORE, names(" \t\n"), "name: is empty"),
        (STORE, names("x" * 201), "name: has more than 200 characters"),
        (STORE, names(7), "name: must be text"),
        (STORE, names(None), "name: is missing"),
        (STORE, WHO, "img_base64: a photo is needed, or img_features"),
        (STORE, features([]), "img_base64: a photo is needed, or img_features"),
        (STORE, WHO | {"img_base64": []}, "img_base64: a photo is needed, or img_features"),
        (STORE, WHO | {"img_base64": ["", "?"]}, "img_base64: picture 1 is empty"),
        (STORE, WHO | {"img_base64": {"a": 1}}, "img_base64: must be a picture in base64"),
        (STORE, features([[]]), "img_features.0: is empty"),
        (STORE, features([[0] * DIMENSION]), "img_features.0: is all zeros"),
        (STORE, features([VECTOR, [0.0] * DIMENSION]), "img_features.1: is all zeros"),
        (STORE, features([VECTOR[1:]]), "img_features: feature vector 1 has 127 numbers"),
        (STORE, features([VECTOR, VECTOR * 4]), "img_features: feature vector 2 has 512 numbers"),
        (STORE, features([[float("nan")]]), "img_features.0.0: must be a finite number"),
        (STORE, features([[-float("inf")]]), "img_features.0.0: must be a finite number"),
        (STORE, features([[10**400]]), "the body holds a number of more than 100 digits"),
        (STORE, features([["0.1"]]), "img_features.0.0: must be a number"),
        (STORE, features([[True]]), "img_features.0.0: must be a number"),
        (STORE, features([[VECTOR]]), "img_features.0.0: must be a number"),
        (STORE, features([0.1, 0.2]), "img_features: must be a list of feature vectors, like [["),
        (STORE, features(VECTOR), "img_features: must be a list of feature vectors, like [["),
        (STORE, features("[[0.1]]"), "img_features: must be a list"),
        (STORE, features([VECTOR] * 101), "img_features: has more than 100 entries"),
        (FIND, {}, "img_base64: is missing"),
        (FIND, {"img_base64": None}, "img_base64: is missing"),
        (FIND, {"image_base64": 5}, "image_base64: must be a picture in base64"),
        (FIND, {"img_base64": ["a"]}, "img_base64: must be a picture in base64"),
        (FIND, {"img_base64": "data:image/png;base64,"}, "img_base64: is empty"),
        (FIND, {"img_base64": "not base64!"}, "img_base64: is not base64"),
        (FIND, {"img_base64": "żółw"}, "img_base64: is not base64"),
        (FIND, photo(img_crop="false"), "img_crop: must be true or false"),
        (FIND, photo(liveness="false"), "liveness: must be true or false"),
        (FIND, photo(liveness=0), "liveness: must be true or false"),
        (FIND, photo(fraud_detection="true"), "fraud_detection: must be true or false"),
        (FIND, photo(frames="a"), "frames: must be a list"),
        (FIND, photo(liveness=True), "frames: 15 are needed for liveness, 0 were sent"),
        (FIND, photo(liveness=True, frames=["a"] * 14), "frames: 15 are needed"),
        (FIND, photo(liveness=True, frames=["YQ"] * 14 + [""]), "frames.14: is empty"),
        (FIND, photo(liveness=True, frames=[1] * 15), "frames.0: must be a picture in base64"),
    ],
)
def test_the_field_that_is_wrong_is_named(
    client: FlaskClient, path: str, body: dict[str, Any], sentence: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert response.text.startswith(sentence)
    assert len(response.text) < 100


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not valid JSON"),
        (b'{"name":', "the body is not valid JSON"),
        (b"img_base64=abc", "the body is not valid JSON"),
        (b'{"name": "\xff", "surname": "b"}', "the body is not UTF-8 text, send JSON in UTF-8"),
        (b"[" * 100_000, "the body is nested more than 8 levels deep"),
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b'"name"', "the body must be a JSON object"),
    ],
)
@pytest.mark.parametrize("path", [STORE, FIND])
def test_a_body_that_is_no_json_object(
    client: FlaskClient, path: str, body: bytes, sentence: str
) -> None:
    response = client.post(path, data=body, content_type="application/json")
    assert (response.status_code, response.text) == (400, sentence)


def test_a_byte_order_mark_is_passed_over(client: FlaskClient) -> None:
    body = json.dumps(features([VECTOR])).encode("utf-8-sig")
    assert client.post(STORE, data=body, content_type="application/json").status_code == 200
    twice = b"\xef\xbb\xbf" + body
    response = client.post(STORE, data=twice, content_type="application/json")
    assert (response.status_code, response.text) == (400, "the body is not valid JSON")


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]
)
def test_json_in_another_encoding(client: FlaskClient, encoding: str) -> None:
    body = json.dumps(WHO | {"name": "Žofie Ø"[1:]}, ensure_ascii=False).encode(encoding)
    content_type = f"application/json; charset={encoding}"
    response = client.post(STORE, data=body, content_type=content_type)
    assert response.status_code == 400
    assert response.text == "the body is not UTF-8 text, send JSON in UTF-8"


@pytest.mark.parametrize(
    ("size", "number", "sentence"),
    [
        ("0", "1", "page_size: must be a whole number from 1 to 1000"),
        ("1001", "1", "page_size: must be a whole number from 1 to 1000"),
        ("abc", "1", "page_size: must be a whole number from 1 to 1000"),
        ("030", "1", "page_size: must be a whole number from 1 to 1000"),
        ("30", "0", "page_number: must be a whole number from 1 to 2147483648"),
        ("30", "01", "page_number: must be a whole number from 1 to 2147483648"),
        ("30", "-1", "page_number: must be a whole number from 1 to 2147483648"),
        ("30", "1.5", "page_number: must be a whole number from 1 to 2147483648"),
        ("30", "9" * 100, "page_number: must be a whole number from 1 to 2147483648"),
    ],
)
def test_pages_that_cannot_be(client: FlaskClient, size: str, number: str, sentence: str) -> None:
    response = client.get(f"/api/get_all/{size}/{number}")
    assert (response.status_code, response.text) == (400, sentence)


def test_the_largest_id_is_taken_and_no_larger_one(client: FlaskClient) -> None:
    largest = 2**63 - 1
    assert client.post(f"/api/store/{largest}", json=features([VECTOR])).status_code == 200
    assert client.delete(f"/api/{largest}").status_code == 200
    for response in (
        client.post(f"/api/store/{largest + 1}", json=features([VECTOR])),
        client.put(f"/api/store/{largest + 1}", json=features([VECTOR])),
        client.delete(f"/api/{largest + 1}"),
        client.delete("/api/" + "9" * 5000),
    ):
        assert response.status_code == 400
        assert response.text == f"employee_id: must be at most {largest}"
