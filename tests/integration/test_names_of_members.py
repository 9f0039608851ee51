"""Members of a body: null is not given, and a check under nearly its name is never passed over."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import sent_photos as photos
from tests.support.features import random_vector

STORE, FIND = "/api/store/1", "/api/find_match"
WHO = {"name": "Grace", "surname": "Hopper"}


def enrolled(client: FlaskClient) -> list[list[float]]:
    """Enrol Grace as 1; her feature vectors."""
    assert client.post(STORE, json=WHO | {"img_base64": photos.admiral()}).status_code == 200
    (user,) = client.get("/api/get_all/30/1").get_json()["users"]
    vectors: list[list[float]] = user["img"]
    return vectors


@pytest.mark.parametrize(
    "more",
    [
        {"frames": None},
        {"img_crop": None},
        {"liveness": None},
        {"fraud_detection": None},
        {"image_base64": None},
        {"Liveness": None, "unknown": None},
        dict.fromkeys(("frames", "img_crop", "liveness", "fraud_detection")),
    ],
)
def test_null_in_a_login_is_not_given(client: FlaskClient, more: dict[str, Any]) -> None:
    enrolled(client)
    response = client.post(FIND, json={"img_base64": photos.admiral()} | more)
    assert (response.status_code, response.text) == (
        200,
        '{"_id":1,"name":"Grace","surname":"Hopper"}\n',
    )


def test_a_check_that_is_asked_for_needs_frames_that_are_not_null(client: FlaskClient) -> None:
    body = {"img_base64": photos.admiral(), "liveness": True, "frames": None}
    response = client.post(FIND, json=body)
    assert response.text == "frames: 15 are needed for liveness, 0 were sent"
    response = client.post(FIND, json=body | {"frames": [None] * 15})
    assert response.text == "frames.0: must be a picture in base64"


def test_frames_that_no_check_needs_are_not_looked_at(client: FlaskClient) -> None:
    enrolled(client)
    for frames in ([None], [""], ["?"] * 20, [1, {}]):
        response = client.post(FIND, json={"img_base64": photos.admiral(), "frames": frames})
        assert response.status_code == 200


@pytest.mark.parametrize("beside", ["", [], None, "no picture", ["?"], 7, {"a": 1}, ["x"] * 500])
def test_vectors_win_over_whatever_is_sent_as_a_picture(
    client: FlaskClient, beside: object
) -> None:
    body = WHO | {"img_features": [random_vector(1)], "img_base64": beside}
    assert client.post(STORE, json=body).status_code == 200
    assert client.put(STORE, json=body).status_code == 200


@pytest.mark.parametrize("vectors", [None, []])
def test_without_vectors_the_picture_counts(client: FlaskClient, vectors: object) -> None:
    body = WHO | {"img_features": vectors, "img_base64": photos.admiral()}
    assert client.post(STORE, json=body).status_code == 200
    response = client.post(FIND, json={"img_base64": photos.admiral()})
    assert response.status_code == 200


def test_two_photos_of_one_login(client: FlaskClient) -> None:
    enrolled(client)
    for one in (photos.admiral(), ""):
        body = {"img_base64": one, "image_base64": photos.astronaut()}
        response = client.post(FIND, json=body)
        assert (response.status_code, response.text) == (
            400,
            "send either img_base64 or image_base64, not both",
        )


@pytest.mark.parametrize(
    ("misspelt", "right"),
    [
        ("Liveness", "liveness"),
        ("LIVENESS", "liveness"),
        ("live_ness", "liveness"),
        ("liveness ", "liveness"),
        ("ｌｉｖｅｎｅｓｓ", "liveness"),
        ("liveness\u200b", "liveness"),
        ("live\0ness", "liveness"),
        ("fraudDetection", "fraud_detection"),
        ("fraud-detection", "fraud_detection"),
        ("Fraud Detection", "fraud_detection"),
        ("fraud.detection", "fraud_detection"),
        ("fraud＿detection", "fraud_detection"),
        *((name, "liveness") for name in ("livenes", "lifeness", "liveliness", "check_liveness")),
        *((name, "fraud_detection") for name in ("fraud_detecion", "fraud", "enableFraudCheck")),
        ("IMG_CROP", "img_crop"),
        ("imgCrop", "img_crop"),
        ("Frames", "frames"),
        ("imageBase64", "image_base64"),
        ("img-base64", "img_base64"),
    ],
)
@pytest.mark.parametrize("value", [True, False])
def test_nearly_the_name_of_a_member_of_a_login(
    client: FlaskClient, misspelt: str, right: str, value: bool
) -> None:
    enrolled(client)
    response = client.post(FIND, json={"img_base64": photos.admiral(), misspelt: value})
    assert (response.status_code, response.text) == (
        400,
        f"{misspelt!r} is not known, write it as {right}",
    )


@pytest.mark.parametrize(
    ("misspelt", "right"),
    [("Name", "name"), ("SurName", "surname"), ("imgFeatures", "img_features")],
)
def test_nearly_the_name_of_a_member_of_an_enrolment(
    client: FlaskClient, misspelt: str, right: str
) -> None:
    body = WHO | {"img_features": [random_vector(1)], misspelt: "x"}
    for method in ("POST", "PUT"):
        response = client.open(STORE, method=method, json=body)
        assert (response.status_code, response.text) == (
            400,
            f"{misspelt!r} is not known, write it as {right}",
        )
    assert client.get("/api/get_all/30/1").get_json() == {"users": []}


def test_unknown_members_are_ignored(client: FlaskClient) -> None:
    enrolled(client)
    more = {"": 1, "_": 2, "live": True, "user_agent": "x", "L" * 100_000: 1, "é" * 5000: 1}
    many = {f"member {number}": 1 for number in range(90)}
    response = client.post(FIND, json={"img_base64": photos.admiral()} | more | many)
    assert response.status_code == 200


def test_no_check_is_lost_among_very_many_members(client: FlaskClient) -> None:
    enrolled(client)
    many = {f"member {number}": 1 for number in range(100)}
    body = {"img_base64": photos.admiral(), "livenes": True} | many
    response = client.post(FIND, json=body)
    assert (response.status_code, response.text) == (400, "the body has more than 100 members")


@pytest.mark.parametrize("surname", ["", " ", "\t"])
def test_a_surname_may_be_empty(client: FlaskClient, surname: str) -> None:
    body = {"name": "Sukarno", "surname": surname, "img_base64": photos.admiral()}
    assert client.post(STORE, json=body).status_code == 200
    (user,) = client.get("/api/get_all/30/1").get_json()["users"]
    assert (user["name"], user["surname"]) == ("Sukarno", "")
    found = client.post(FIND, json={"img_base64": photos.admiral()}).get_json()
    assert found == {"_id": 1, "name": "Sukarno", "surname": ""}
