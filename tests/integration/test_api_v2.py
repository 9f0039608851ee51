"""The photo calls of `/api/v2`: what they answer, in JSON and as forms, and to whom."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from app.recognition.recogniser import Recogniser
from testbed.photos import ASTRONAUT, FACES
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.features import at_distance, random_vector
from tests.support.limiting import came_from

SCALE = 2.15
PROBLEM = "application/problem+json"
ADA = {"employee_id": 1, "name": "Ada", "surname": "Lovelace"}


def enrol(client: FlaskClient, employee_id: int, **members: object) -> None:
    body = {"name": "Ada", "surname": "Lovelace"} | members
    assert client.post(f"/api/store/{employee_id}", json=body).status_code == 200


def call(client: FlaskClient, name: str, **members: object) -> TestResponse:
    return client.post(f"/api/v2/{name}", json=members)


def as_form(members: dict[str, Any]) -> dict[str, Any]:
    """The same members as parts: pictures as files, everything else as text."""

    def part(name: str, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            return [part(name, each) for each in value]
        if name in ("photo", "photos", "frames"):
            return FileStorage(BytesIO(base64.b64decode(value)), "me.jpg")
        return str(value)

    return {name: part(name, value) for name, value in members.items()}


def code(response: TestResponse, status: int) -> str:
    """The code of a problem with that status."""
    assert (response.status_code, response.mimetype) == (status, PROBLEM), response.text
    found: dict[str, Any] = response.get_json()
    assert found["status"] == status
    assert {"title", "request_id"} <= set(found)
    return str(found["code"])


@pytest.fixture(scope="module")
def probe(recogniser: Recogniser) -> list[float]:
    vector: list[float] = recogniser.for_login(ASTRONAUT.read_bytes()).tolist()
    return vector


CALLS: dict[str, dict[str, Any]] = {
    "identifications": {"photo": photos.astronaut(), "threshold": 0.75},
    "verifications": {"photo": photos.astronaut(), "employee_id": 1},
    "candidates": {"photo": photos.astronaut(), "limit": 5},
    "comparisons": {"photos": [photos.astronaut(), photos.admiral()]},
    "faces": {"photo": photos.both()},
    "feature-vectors": {"photos": [photos.astronaut(), photos.coffee()]},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_form_is_answered_as_json_is(client: FlaskClient, name: str) -> None:
    enrol(client, 1, img_base64=photos.astronaut_again())
    sent = [
        call(client, name, **CALLS[name]),
        client.post(f"/api/v2/{name}", data=as_form(CALLS[name])),
    ]
    answers = [response.get_json() for response in sent]
    assert [response.status_code for response in sent] == [200, 200], answers
    for answer in answers:
        answer.pop("took_ms", None)
    assert answers[0] == answers[1]


def test_an_identification_says_who_it_is_and_no_score(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.astronaut_again())
    answer = call(client, "identifications", photo=photos.astronaut()).get_json()
    assert answer.pop("took_ms") > 0
    assert answer == {"match": ADA, "checks": [], "model": "dlib"}
    assert code(call(client, "identifications", photo=photos.admiral()), 406) == "no_match"


def test_a_caller_may_tighten_the_threshold_and_not_loosen_it(
    client: FlaskClient, probe: list[float]
) -> None:
    for distance, threshold, status in ((0.7, 0.6, 406), (0.7, 0.75, 200), (0.9, 1, 406)):
        enrol(client, 1, img_features=[at_distance(probe, distance / SCALE)])
        shown = {"photo": photos.astronaut(), "threshold": threshold}
        assert call(client, "identifications", **shown).status_code == status
        assert call(client, "verifications", employee_id=1, **shown).status_code == status
        client.delete("/api/1")


def test_a_verification_compares_with_all_vectors_of_one_person(
    client: FlaskClient, probe: list[float]
) -> None:
    enrol(client, 1, img_features=[random_vector(1), at_distance(probe, 0.7 / SCALE)])
    enrol(client, 2, img_features=[at_distance(probe, 0.1 / SCALE)], allow_similar=True)
    answer = call(client, "verifications", photo=photos.astronaut(), employee_id=1).get_json()
    assert answer.pop("took_ms") > 0
    assert answer == {"verified": True, "checks": [], "model": "dlib"}


def test_a_refusal_does_not_tell_whether_there_is_such_an_employee(client: FlaskClient) -> None:
    enrol(client, 1, img_base64=photos.admiral())
    answers = []
    for employee_id in (1, 2):
        refusal = call(client, "verifications", photo=photos.astronaut(), employee_id=employee_id)
        assert code(refusal, 406) == "not_verified"
        body, headers = refusal.get_json(), dict(refusal.headers)
        assert body.pop("request_id") == headers.pop("X-Request-ID")
        answers.append((body, headers))
    assert answers[0] == answers[1]


def test_failed_verifications_and_identifications_count_together(limited: FlaskClient) -> None:
    headers = came_from("10.0.9.1")
    shown = {"photo": photos.astronaut(), "employee_id": 7}
    for name in ("verifications", "identifications", "verifications"):
        members = shown if name == "verifications" else {"photo": photos.astronaut()}
        refusal = limited.post(f"/api/v2/{name}", json=members, headers=headers)
        assert refusal.status_code == 406
    for name in ("verifications", "identifications"):
        refusal = limited.post(f"/api/v2/{name}", json={}, headers=headers)
        assert code(refusal, 429) == "too_many_failures"
        assert 1 <= int(refusal.headers["Retry-After"]) <= 5
    old = limited.post("/api/find_match", json={}, headers=headers)
    assert (old.status_code, old.mimetype) == (429, "text/plain")


def test_candidates_are_the_nearest_first(client: FlaskClient, probe: list[float]) -> None:
    for employee_id, distance in enumerate((0.9, 0.3, 1.2), start=1):
        enrol(client, employee_id, img_features=[at_distance(probe, distance / SCALE)])
    answer = call(client, "candidates", photo=photos.astronaut(), limit=2).get_json()
    assert [each["employee"]["employee_id"] for each in answer["candidates"]] == [2, 1]
    assert [each["distance"] for each in answer["candidates"]] == pytest.approx(
        [0.3, 0.9], abs=1e-3
    )
    near, far = (each["comparison_score"] for each in answer["candidates"])
    assert 0.98 < far < near < 1
    assert answer["threshold"] == 0.8
    left, top, width, height = answer["face"]["box"].values()
    for x, y in answer["face"]["landmarks"].values():
        assert left < x < left + width
        assert top < y < top + height
    again = call(client, "candidates", feature_vector=[8 * each for each in probe]).get_json()
    assert again["face"] is None
    assert [each["employee"]["employee_id"] for each in again["candidates"]] == [2, 1, 3]


def test_a_comparison_scores_one_person_high_and_two_low(client: FlaskClient) -> None:
    same = [photos.astronaut(), photos.astronaut_again()]
    different = [photos.astronaut(), photos.admiral()]
    one, other = (call(client, "comparisons", photos=two).get_json() for two in (same, different))
    assert (one["matched"], other["matched"]) == (True, False)
    assert one["comparison_score"] > 0.999 > other["comparison_score"]
    assert one["distance"] < 0.8 < other["distance"]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_faces_are_found_in_pixels_of_the_photo(client: FlaskClient, turn: int) -> None:
    """The astronaut's eyes are found where they are, whichever way up her photo is."""
    upright = Image.open(ASTRONAUT).convert("RGB").resize((1024, 1024)).crop((0, 0, 1024, 900))
    eyes = np.array([[402, 202], [494, 206]])
    turned, points = upright, eyes
    for _ in range(turn // 90):
        points = np.stack((points[:, 1], turned.width - points[:, 0]), axis=1)
        turned = turned.transpose(Image.Transpose.ROTATE_90)
    file = BytesIO()
    turned.save(file, "JPEG")
    answer = call(client, "faces", photo=base64.b64encode(file.getvalue()).decode()).get_json()
    assert (answer["width"], answer["height"]) == turned.size
    (face,) = answer["faces"]
    found = np.array([face["landmarks"]["left_eye"], face["landmarks"]["right_eye"]])
    assert found == pytest.approx(points, abs=8)
    assert (face["usable"], face["code"], face["advice"]) == (True, None, None)
    assert face["detection_score"] > 0.99


def test_each_face_is_judged(client: FlaskClient) -> None:
    answer = call(client, "faces", photo=photos.both(250)).get_json()
    large, small = answer["faces"]
    assert large["quality"]["size_px"] > small["quality"]["size_px"]
    assert large["box"]["left"] < small["box"]["left"]
    blurred = Image.open(ASTRONAUT).convert("RGB").resize((60, 60)).resize((512, 512))
    file = BytesIO()
    blurred.save(file, "PNG")
    answer = call(client, "faces", photo=base64.b64encode(file.getvalue()).decode()).get_json()
    (face,) = answer["faces"]
    assert (face["usable"], face["code"]) == (False, "face_too_blurred")
    assert face["advice"] == "the face is too blurred, hold the camera still"
    assert call(client, "faces", photo=photos.coffee()).get_json()["faces"] == []


@pytest.mark.faces
def test_every_face_of_a_group_is_found(client: FlaskClient) -> None:
    for group in sorted((FACES / "groups").glob("*.jpg"))[:2]:
        data = {"photo": (BytesIO(group.read_bytes()), group.name)}
        answer = client.post("/api/v2/faces", data=data).get_json()
        assert len(answer["faces"]) > 1, group


def test_feature_vectors_can_be_enrolled(client: FlaskClient) -> None:
    sent = [photos.astronaut(), photos.coffee(), "AAAA", photos.admiral()]
    answer = call(client, "feature-vectors", photos=sent).get_json()
    first, coffee, broken, last = answer["vectors"]
    assert (coffee["code"], broken["code"]) == ("no_face", "not_an_image")
    assert {len(each["feature_vector"]) for each in (first, last)} == {128}
    enrol(client, 1, img_features=[first["feature_vector"]])
    assert call(client, "identifications", photo=photos.astronaut_again()).status_code == 200


@pytest.mark.parametrize(
    ("name", "members", "says"),
    [
        ("identifications", {}, "photo: is missing"),
        ("identifications", {"photo": "?"}, "photo: is not base64"),
        ("identifications", {"photo": "AAAA", "Checks": ["fraud"]}, "write it as checks"),
        ("identifications", {"foto": "AAAA"}, "'foto': is unknown, did you mean photo?"),
        ("identifications", {"photo": "?", "grp": "x"}, "'grp': is unknown, did you mean group?"),
        ("identifications", {"img_base64": "AAAA"}, "'img_base64': is unknown, there are photo, "),
        ("candidates", {"foto": "AAAA"}, "'foto': is unknown, did you mean photo?"),
        ("identifications", {"photo": "AAAA", "checks": ["blink"]}, "checks.0: must be"),
        ("identifications", {"photo": "AAAA", "checks": ["fraud"]}, "15 are needed for fraud"),
        ("identifications", {"photo": "AAAA", "threshold": 0}, "threshold: must be more than 0"),
        ("verifications", {"photo": "AAAA"}, "employee_id: is missing"),
        ("verifications", {"photo": "AAAA", "employee_id": -1}, "employee_id: must be at least 0"),
        ("candidates", {}, "send either photo or feature_vector"),
        ("candidates", {"feature_vector": [0.0]}, "feature_vector: is all zeros"),
        ("candidates", {"photo": "AAAA", "limit": 21}, "limit: must be at most 20"),
        ("comparisons", {"photos": ["AAAA"]}, "photos: "),
        ("comparisons", {"photos": "AAAA"}, "photos: must be a list"),
        ("feature-vectors", {"photos": []}, "photos: is empty"),
        ("feature-vectors", {"photos": ["AAAA"] * 101}, "photos: has more than 100 entries"),
    ],
)
def test_wrong_input_is_named(
    client: FlaskClient, name: str, members: dict[str, Any], says: str
) -> None:
    refusal = call(client, name, **members)
    assert code(refusal, 400) == "bad_request"
    assert says in refusal.get_json()["title"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "employees/1", {"nam": "Ada"}),
        ("PATCH", "employees/1", {"nam": "Ada"}),
        ("POST", "employees/1/samples", {"foto": "AAAA"}),
        ("GET", "employees?limt=3", None),
        ("GET", "audit-entries?limt=3", None),
        ("POST", "import?exist=skip", None),
    ],
)
def test_unknown_names_are_told_in_every_call(
    client: FlaskClient, method: str, path: str, body: dict[str, str] | None
) -> None:
    refusal = client.open(f"/api/v2/{path}", method=method, json=body)
    assert code(refusal, 400) == "bad_request"
    meant = {"nam": "name", "foto": "photo", "limt": "limit", "exist": "existing"}
    wrong = path.partition("?")[2].partition("=")[0] or next(iter(body or {}))
    says = f"'{wrong}': is unknown, did you mean {meant[wrong]}?"
    assert refusal.get_json()["title"] == says


def test_a_vector_of_another_dimension_is_named(client: FlaskClient) -> None:
    refusal = call(client, "candidates", feature_vector=[1.0, 2.0])
    assert code(refusal, 400) == "wrong_dimension"
    assert refusal.get_json()["title"].startswith("feature_vector: feature vector 1 has 2 numbers")


PICTURE = ("photo", ("me.png", ASTRONAUT.read_bytes()))


@pytest.mark.parametrize(
    ("parts", "status", "says"),
    [
        ([], 400, "photo: is missing"),
        ([("photo", "iVBORw0KGgo")], 400, "photo: send a picture as a file"),
        ([("photo", photos.astronaut_face())], 413, "send pictures as files"),
        ([("photo", ("", b""))], 400, "photo: is empty"),
        ([PICTURE, PICTURE], 400, "the form has 'photo' more than once"),
        ([PICTURE, ("threshold", "low")], 400, "threshold: must be a number"),
        ([PICTURE, ("threshold", "[0.5]")], 400, "threshold: must be a number"),
        ([PICTURE, ("checks", "blink")], 400, "checks.0: must be"),
        ([("foto", PICTURE[1])], 400, "'foto': is unknown, did you mean photo?"),
        ([("foto", "")], 400, "'foto': is unknown, did you mean photo?"),
        ([("foto", PICTURE[1])] * 2, 400, "'foto': is unknown, did you mean photo?"),
        ([PICTURE, ("grp", "a")], 400, "'grp': is unknown, did you mean group?"),
        ([PICTURE, ("check", "x" * 200_000)], 413, "the form has more than"),
        ([("frames", ("f.png", b"x"))] * 200, 413, "the form has more than"),
        ([("frames", ("f.png", b"x"))] * 15 + [PICTURE], 406, "no matches found"),
        ([("frames", ("f.png", b"x"))] * 14 + [PICTURE, ("checks", "fraud")], 400, "14 were sent"),
    ],
)
def test_wrong_forms_are_named(
    client: FlaskClient, parts: list[tuple[str, Any]], status: int, says: str
) -> None:
    body, boundary = form(parts)
    kind = f"multipart/form-data; boundary={boundary}"
    refusal = client.post("/api/v2/identifications", data=body, content_type=kind)
    code(refusal, status)
    assert says in refusal.get_json()["title"]


def form(parts: list[tuple[str, Any]]) -> tuple[bytes, str]:
    """A form, part by part."""
    lines = b""
    for name, value in parts:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            filename, value = value
            head += f'; filename="{filename}"'
        content = value if isinstance(value, bytes) else value.encode()
        lines += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return lines + b"--b--\r\n", "b"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=b", b"--b", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--", 400),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
            400,
        ),
        ("multipart/form-data; boundary=\xe9", b"--b", 400),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"photo=x", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
    ],
)
def test_bodies_of_no_known_form_are_refused(
    client: FlaskClient, kind: str, body: bytes, status: int
) -> None:
    code(client.post("/api/v2/faces", data=body, content_type=kind), status)


@pytest.mark.parametrize("accept", [None, "text/plain", "text/html"])
def test_every_error_is_json(client: FlaskClient, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    for path in ("/api/v2", "/api/v2/", "/api/v2/nothing", "/api/v2/%66aces"):
        assert code(client.post(path, headers=headers), 404) == "not_found"
    wrong_method = client.get("/api/v2/faces", headers=headers)
    assert code(wrong_method, 405) == "method_not_allowed"
    assert "POST" in wrong_method.headers["Allow"]
    large = client.post("/api/v2/faces", data=bytes(2_000_001), headers=headers)
    assert code(large, 413) == "body_too_large"
    coded = client.post("/api/v2/faces", headers={"Content-Encoding": "gzip"} | headers)
    assert code(coded, 415) == "encoded"
    assert client.post("/api/v1/faces", headers=headers).mimetype == "text/plain"


def test_a_part_that_is_away_is_a_503_in_json(tmp_path: Path) -> None:
    loading = ready_app(tmp_path, liveness_service_url="http://127.0.0.1:9")
    try:
        client = loading.test_client()
        shown = {"photo": photos.astronaut(), "frames": [photos.astronaut()] * 15}
        refusal = call(client, "identifications", checks=["liveness"], **shown)
        assert code(refusal, 503) == "liveness_unavailable"
    finally:
        loading.extensions["service"].stop()
