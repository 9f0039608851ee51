"""Employees and their samples under /api/v2, over a real socket, on every store."""

from collections.abc import Iterator

import pytest
import requests

from app.access import Role
from app.access.api_keys import new_key
from testbed.photos import ASTRONAUT
from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.features import random_vector
from tests.support.stores import store_variables

STORES = ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)]
KEYS = {
    "admin": new_key([Role.ADMIN]),
    "enrol": new_key([Role.ENROL]),
    "login": new_key([Role.LOGIN]),
    "site": new_key([Role.ENROL, Role.LOGIN], "site", ["site-a"]),
}
PATH = "/api/v2/employees/1"


class Client:
    """Calls the service with a key."""

    def __init__(self, service: RunningService, key: str) -> None:
        self._service = service
        self._key = key

    def __call__(self, method: str, path: str, **options: object) -> requests.Response:
        given = options.pop("headers", None)
        headers = {"X-API-Key": KEYS[self._key][0]} | (given if isinstance(given, dict) else {})
        return self._service.call(method, path, headers=headers, **options)

    def list(self, **query: object) -> list[int]:
        answer = self("GET", "/api/v2/employees", params=query)
        assert answer.status_code == 200, answer.text
        return [each["employee_id"] for each in answer.json()["employees"]]


@pytest.fixture(scope="module", params=STORES)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    variables = store_variables(request, request.param)
    lines = " ".join(line for _, line in KEYS.values())
    folder = tmp_path_factory.mktemp("people")
    with RunningService(
        folder, API_KEYS=lines, MAX_VECTORS_PER_EMPLOYEE="3", **variables
    ) as running:
        yield running


@pytest.fixture
def enrol(service: RunningService) -> Client:
    """A client with a key of the role enrol; nobody is enrolled."""
    admin, client = Client(service, "admin"), Client(service, "enrol")
    for employee_id in client.list():
        assert admin("DELETE", f"/api/v2/employees/{employee_id}").status_code == 204
    return client


def named(name: str, seed: int = 1, **more: object) -> dict[str, object]:
    return {"name": name, "feature_vectors": [random_vector(seed)], **more}


def problem(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_enrol_by_photos_show_and_remove(enrol: Client, service: RunningService) -> None:
    body = {
        "name": "Eileen",
        "surname": "Collins",
        "external_id": "HR-7",
        "metadata": {"badge": [1, None]},
        "groups": ["staff", "site-a"],
        "photos": [photos.astronaut(), photos.astronaut_again()],
    }
    made = enrol("PUT", PATH, json=body)
    assert (made.status_code, made.headers["Location"]) == (201, PATH), made.text
    person = made.json()
    assert person.pop("refused") == []
    assert [each["source"] for each in person["samples"]] == ["photo", "photo"]
    assert {each["quality"] for each in person["samples"]} <= {"good", "fair"}
    assert person["groups"] == ["site-a", "staff"]
    assert person["model"] == "dlib"
    assert person["enrolled_at"].endswith("Z")
    shown = enrol("GET", PATH)
    assert (shown.json(), shown.headers["ETag"]) == (person, made.headers["ETag"])
    probe = {"photo": photos.astronaut()}
    login = Client(service, "login")
    found = login("POST", "/api/v2/identifications", json=probe)
    assert found.json()["match"]["employee_id"] == 1
    assert problem(enrol("DELETE", PATH)) == (403, "key_insufficient")
    for _ in range(2):
        assert Client(service, "admin")("DELETE", PATH).status_code == 204
    assert problem(enrol("GET", PATH)) == (404, "no_such_employee")
    assert problem(login("POST", "/api/v2/identifications", json=probe)) == (406, "no_match")


def test_enrol_by_form(enrol: Client) -> None:
    files = {"photos": ("me.png", ASTRONAUT.read_bytes())}
    form = {"name": "Eileen", "groups": ["a", "b"], "metadata": '{"n": 1}', "partial": "true"}
    made = enrol("PUT", PATH, files=files, data=form)
    assert made.status_code == 201, made.text
    assert (made.json()["groups"], made.json()["metadata"]) == (["a", "b"], {"n": 1})


def test_photos_that_cannot_be_used(enrol: Client) -> None:
    bad = photos.coffee()
    body = {"name": "Eileen", "photos": [bad, photos.astronaut(), "eHh4"]}
    refused = enrol("PUT", PATH, json=body)
    assert problem(refused) == (422, "no_face")
    assert refused.json()["title"].startswith("picture 1: ")
    made = enrol("PUT", PATH, json=body | {"partial": True})
    assert made.status_code == 201
    reasons = [(each["photo"], each["code"]) for each in made.json()["refused"]]
    assert reasons == [(1, "no_face"), (3, "not_an_image")]


@pytest.mark.parametrize(
    ("photos_sent", "status", "code"),
    [
        ([photos.coffee(), photos.coffee()], 422, "no_face"),
        (["eHh4", "eHh4"], 415, "not_an_image"),
        ([photos.coffee(), "eHh4"], 422, "unusable_image"),
    ],
)
def test_each_photo_is_named_if_none_can_be_used(
    enrol: Client, photos_sent: list[str], status: int, code: str
) -> None:
    body = {"name": "Eileen", "photos": photos_sent, "partial": True}
    none = enrol("PUT", PATH, json=body)
    assert problem(none) == (status, code)
    title, refused = none.json()["title"], none.json()["refused"]
    assert [each["photo"] for each in refused] == [1, 2]
    for each in refused:
        assert f"picture {each['photo']}: {each['detail']}" in title
    assert problem(enrol("GET", PATH)) == (404, "no_such_employee")
    alone = enrol("PUT", PATH, json=body | {"photos": photos_sent[:1]})
    assert "refused" not in alone.json()


def test_what_is_read_is_what_is_changed(enrol: Client) -> None:
    first = enrol("PUT", PATH, json=named("Ada"), headers={"If-None-Match": "*"})
    assert first.status_code == 201
    again = enrol("PUT", PATH, json=named("Ada", 2), headers={"If-None-Match": "*"})
    assert problem(again) == (412, "precondition_failed")
    tag = {"If-Match": first.headers["ETag"]}
    second = enrol("PUT", PATH, json=named("Bea", 2), headers=tag)
    assert (second.status_code, second.json()["name"]) == (200, "Bea")
    assert second.json()["enrolled_at"] == first.json()["enrolled_at"]
    for method, path, json in (
        ("PUT", PATH, named("Cleo")),
        ("PATCH", PATH, {"name": "Cleo"}),
        ("POST", f"{PATH}/samples", {"feature_vector": random_vector(3)}),
        ("DELETE", f"{PATH}/samples/{second.json()['samples'][0]['sample_id']}", None),
    ):
        assert problem(enrol(method, path, json=json, headers=tag))[0] == 412
    tag = {"If-Match": second.headers["ETag"]}
    third = enrol("PATCH", PATH, json={"name": "Cleo", "groups": ["x"]}, headers=tag)
    assert (third.json()["name"], third.json()["groups"]) == ("Cleo", ["x"])
    assert third.json()["samples"] == second.json()["samples"]
    other = "/api/v2/employees/2"
    for headers in (tag, {"If-Match": "*"}):
        assert problem(enrol("PUT", other, json=named("Z"), headers=headers))[0] == 412
    assert enrol("PUT", PATH, json=named("Dora"), headers={"If-Match": "*"}).status_code == 200
    two = {"If-Match": '"a", "b"'}
    assert problem(enrol("PATCH", PATH, json={"name": "E"}, headers=two)) == (400, "bad_request")


def test_a_retry_changes_nothing_twice(enrol: Client) -> None:
    retry = {"Idempotency-Key": "one"}
    made = [enrol("PUT", PATH, json=named("Ada"), headers=retry) for _ in range(2)]
    assert made[0].json() == made[1].json()
    assert made[0].headers["ETag"] == made[1].headers["ETag"]
    other = {"Idempotency-Key": "two"}
    replaced = [enrol("PUT", PATH, json=named("Bea", 4), headers=other) for _ in range(2)]
    assert replaced[0].json()["enrolled_at"] == replaced[1].json()["enrolled_at"]
    sample = {"feature_vector": random_vector(2)}
    added = [enrol("POST", f"{PATH}/samples", json=sample, headers=retry) for _ in range(2)]
    assert [each.status_code for each in added] == [201, 201]
    assert added[0].json() == added[1].json()
    path = f"{PATH}/samples/{added[0].json()['sample_id']}"
    removed = [enrol("DELETE", path, headers=retry).status_code for _ in range(2)]
    assert removed == [204, 204]
    assert len(enrol("GET", PATH).json()["samples"]) == 1


def test_samples_come_and_go(enrol: Client) -> None:
    photo = {"photo": photos.astronaut()}
    first = enrol("PUT", PATH, json={"name": "Eileen", "photos": [photos.astronaut_again()]})
    (only,) = first.json()["samples"]
    last = enrol("DELETE", f"{PATH}/samples/{only['sample_id']}")
    assert problem(last) == (409, "last_sample")
    added = enrol("POST", f"{PATH}/samples", json=photo)
    assert (added.status_code, added.json()["source"]) == (201, "photo")
    assert added.json()["quality"] == "good"
    stranger = enrol("POST", f"{PATH}/samples", json={"photo": photos.admiral()})
    assert problem(stranger) == (422, "different_people")
    third = {"feature_vector": random_vector(5)}
    assert enrol("POST", f"{PATH}/samples", json=third).status_code == 201
    fourth = {"feature_vector": random_vector(6)}
    assert problem(enrol("POST", f"{PATH}/samples", json=fourth)) == (409, "too_many_samples")
    assert enrol("DELETE", f"{PATH}/samples/{only['sample_id']}").status_code == 204
    assert [each["source"] for each in enrol("GET", PATH).json()["samples"]] == [
        "photo",
        "feature_vector",
    ]
    unknown = enrol("DELETE", f"{PATH}/samples/{only['sample_id']}")
    assert problem(unknown) == (404, "no_such_sample")


def test_external_ids_belong_to_one_person(enrol: Client) -> None:
    enrol("PUT", PATH, json=named("Ada", external_id="HR-1"))
    other = "/api/v2/employees/2"
    taken = enrol("PUT", other, json=named("Bea", 2, external_id="HR-1"))
    assert problem(taken) == (409, "external_id_taken")
    assert enrol("PUT", other, json=named("Bea", 2)).status_code == 201
    assert problem(enrol("PATCH", other, json={"external_id": "HR-1"}))[0] == 409
    assert enrol.list(external_id="HR-1") == [1]
    assert enrol("PATCH", PATH, json={"external_id": None}).json()["external_id"] is None
    assert enrol("PATCH", other, json={"external_id": "HR-1"}).status_code == 200


def test_lists(enrol: Client) -> None:
    names = ["Zoë", "Anna Maria", "Ánna", "Bob", "anne"]
    for number, name in enumerate(names):
        groups = ["odd"] if number % 2 else []
        body = named(name, number, surname="Voß", groups=groups)
        assert enrol("PUT", f"/api/v2/employees/{number}", json=body).status_code == 201
    assert enrol.list() == [0, 1, 2, 3, 4]
    assert enrol.list(q="ann") == [1, 2, 4]
    assert enrol.list(q="voss MARIA") == [1]
    assert enrol.list(q="zoe") == [0]
    assert enrol.list(group="odd", q="b") == [3]
    page = enrol("GET", "/api/v2/employees", params={"q": "ann", "limit": 2}).json()
    assert (page["total"], page["next_cursor"]) == (3, "2")
    rest = {"q": "ann", "limit": 2, "cursor": page["next_cursor"]}
    assert enrol.list(**rest) == [4]
    assert enrol("GET", "/api/v2/employees", params=rest).json()["next_cursor"] is None
    samples = enrol("GET", "/api/v2/employees").json()["employees"][0]["samples"]
    assert set(samples[0]) == {"sample_id", "enrolled_at", "source", "quality"}
    for query in ({"limit": 0}, {"limit": "ten"}, {"cursor": "x"}, {"group": "a b"}, {"qq": "a"}):
        answer = enrol("GET", "/api/v2/employees", params=query)
        assert problem(answer) == (400, "bad_request")
        assert next(iter(query)) in answer.json()["title"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"surname": "a\nb"}, "surname"),
        ({"metadata": {"a": "x" * 5000}}, "metadata"),
        ({"metadata": [1]}, "metadata"),
        ({"groups": ["a b"]}, "groups"),
        ({"groups": [f"g{number}" for number in range(21)]}, "groups"),
        ({"external_id": ""}, "external_id"),
        ({"nmae": "Ada"}, "nmae"),
        ({}, "send what to change"),
    ],
)
def test_wrong_changes_are_refused(enrol: Client, body: dict[str, object], field: str) -> None:
    enrol("PUT", PATH, json=named("Ada"))
    answer = enrol("PATCH", PATH, json=body)
    assert problem(answer) == (400, "bad_request")
    assert field in answer.json()["title"]


def test_a_key_of_a_group_sees_nobody_else(enrol: Client, service: RunningService) -> None:
    site = Client(service, "site")
    enrol("PUT", PATH, json={"name": "Eileen", "photos": [photos.astronaut()]})
    probe = {"photo": photos.astronaut()}
    assert problem(site("POST", "/api/v2/identifications", json=probe)) == (406, "no_match")
    claim = probe | {"employee_id": 1}
    assert problem(site("POST", "/api/v2/verifications", json=claim)) == (406, "not_verified")
    for method, json in (("GET", None), ("PATCH", {"name": "Mine"})):
        assert problem(site(method, PATH, json=json)) == (404, "no_such_employee")
    assert problem(site("PUT", PATH, json=named("Mine"))) == (409, "employee_exists")
    foreign = named("Mine", 7, groups=["site-b"])
    refused = site("PUT", "/api/v2/employees/7", json=foreign)
    assert problem(refused) == (403, "group_forbidden")
    assert site("PUT", "/api/v2/employees/7", json=named("Mine", 7)).json()["groups"] == ["site-a"]
    assert (site.list(), enrol.list()) == ([7], [1, 7])
    elsewhere = probe | {"group": "site-b"}
    assert problem(site("POST", "/api/v2/identifications", json=elsewhere))[0] == 403
    assert enrol("PATCH", PATH, json={"groups": ["site-a"]}).status_code == 200
    found = site("POST", "/api/v2/identifications", json=probe | {"group": "site-a"})
    assert found.json()["match"]["employee_id"] == 1
    assert site("PATCH", PATH, json={"name": "Mine"}).json()["name"] == "Mine"
    both = {"groups": ["site-a", "site-b"]}
    assert enrol("PATCH", PATH, json=both).json() | both == enrol("GET", PATH).json()
    assert site("PUT", PATH, json=named("Mine", 2)).json()["groups"] == ["site-a", "site-b"]
