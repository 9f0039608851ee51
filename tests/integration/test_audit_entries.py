"""The audit log read over the API: newest first, page by page, in bounded time."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from app.audit.chain import BEGINNING, digest, link
from app.audit.pages import CursorExpired, Page, Wanted, newest
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.features import random_vector

ADMIN, ADMIN_LINE = new_key([Role.ADMIN], "the-admin")
BOUND, BOUND_LINE = new_key([Role.ADMIN], "site-a", ["site-a"])
PATH = "/api/v2/audit-entries"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("audited")
    app = ready_app(
        folder, api_keys=f"{ADMIN_LINE} {BOUND_LINE}", audit_log=str(folder / "audit.log")
    )
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = ADMIN
    return client


def log_of(path: Path, *entries: dict[str, Any]) -> None:
    """Append entries to a file as the service writes them."""
    previous = BEGINNING
    with path.open("ab") as file:
        for fields in entries:
            line = link(previous, {"time": "2026-11-01T12:00:00.000+00:00", **fields})
            previous = digest(line)
            file.write(line + b"\n")


def login(number: int, outcome: str = "ok") -> dict[str, Any]:
    return {"action": "login", "outcome": outcome, "employee_id": number, "distance": 0.4123}


def all_pages(path: Path, wanted: Wanted | None = None, limit: int = 7) -> list[dict[str, Any]]:
    wanted = wanted or Wanted()
    page = newest(path, limit, None, wanted)
    entries = page.entries
    while page.next_cursor:
        page = newest(path, limit, page.next_cursor, wanted)
        assert len(page.entries) <= limit
        entries += page.entries
    return entries


def test_what_was_done_is_listed_newest_first(admin: FlaskClient) -> None:
    body = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}
    assert admin.post("/api/store/1", json=body).status_code == 200
    assert admin.post("/api/store/1", json=body).status_code == 409
    entries = admin.get(PATH, query_string={"employee_id": 1}).get_json()["entries"]
    assert [(entry["action"], entry["outcome"]) for entry in entries] == [
        ("enrol", "employee_exists"),
        ("enrol", "ok"),
    ]
    assert entries[0]["key"] == "the-admin"
    # reading is an entry, too
    newest_entry = admin.get(PATH, query_string={"limit": 1}).get_json()["entries"][0]
    assert (newest_entry["action"], newest_entry["employee_id"]) == ("read_audit", 1)


def test_it_holds_no_secret(admin: FlaskClient) -> None:
    admin.post("/api/find_match", json={"img_base64": photos.astronaut()})
    text = admin.get(PATH).text
    assert ADMIN not in text
    assert photos.astronaut()[:40] not in text


def test_those_whom_a_search_has_shown_are_found(admin: FlaskClient) -> None:
    body = {"name": "Ada", "feature_vectors": [random_vector(7)]}
    assert admin.put("/api/v2/employees/70", json=body).status_code == 201
    admin.post("/api/v2/candidates", json={"feature_vector": random_vector(7)})
    actions = [
        entry["action"]
        for entry in admin.get(PATH, query_string={"employee_id": 70}).get_json()["entries"]
    ]
    assert "candidates" in actions


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"outcome": "A B"}, {"action": "x"}]
)
def test_what_cannot_be_asked(admin: FlaskClient, query: dict[str, object]) -> None:
    response = admin.get(PATH, query_string=query)
    assert (response.status_code, response.get_json()["code"]) == (400, "bad_request")


def test_a_key_of_a_group_may_not_read_it(app: Flask) -> None:
    response = app.test_client().get(PATH, headers={"X-API-Key": BOUND})
    assert (response.status_code, response.get_json()["code"]) == (403, "group_forbidden")


def test_without_a_file_there_is_nothing_to_read(client_without_file: FlaskClient) -> None:
    response = client_without_file.get(PATH)
    assert (response.status_code, response.get_json()["code"]) == (409, "no_audit_file")


@pytest.fixture
def client_without_file(tmp_path: Path) -> Iterator[FlaskClient]:
    app = ready_app(tmp_path, audit_log="stdout")
    yield app.test_client()
    app.extensions["service"].stop()


def test_pages_hold_each_entry_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, *(login(number) for number in range(1_000)))
    numbers = [entry["employee_id"] for entry in all_pages(path)]
    assert numbers == list(reversed(range(1_000)))


def test_entries_that_come_meanwhile_move_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, *map(login, range(10)))
    first = newest(path, 5, None, Wanted())
    log_of(path, login(99))
    rest = newest(path, 5, first.next_cursor, Wanted())
    assert [entry["employee_id"] for entry in rest.entries] == [4, 3, 2, 1, 0]
    assert rest.next_cursor is None


def test_entries_are_chosen_by_person_and_outcome(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, login(1), login(1, "no_match"), login(11), login(21, "no_match"))
    log_of(path, {"action": "candidates", "outcome": "ok", "shown": [11, 1, 21]})
    log_of(path, {"action": "enrol", "outcome": "ok", "employee_id": 5, "similar_to": 1})

    def found(**wanted: Any) -> list[tuple[str, str]]:  # noqa: ANN401
        entries = all_pages(path, Wanted(**wanted))
        return [(entry["action"], entry["outcome"]) for entry in entries]

    about_1 = [("enrol", "ok"), ("candidates", "ok"), ("login", "no_match"), ("login", "ok")]
    assert found(employee_id=1) == about_1
    assert found(employee_id=1, outcome="no_match") == [("login", "no_match")]
    assert found(outcome="no_match") == [("login", "no_match")] * 2
    assert found(employee_id=2) == []


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, login(1))
    with path.open("ab") as file:
        file.write(b"[" * 100_000 + b"\n" + b"x" * 200_000 + b"\n\n{}\nnull\n")
    log_of(path, login(2))
    with path.open("ab") as file:
        file.write(b'{"time":"is being wr')  # by another process at this moment
    assert [entry["employee_id"] for entry in all_pages(path)] == [2, 1]


def test_a_cursor_of_a_rotated_file_expires(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, *map(login, range(10)))
    cursor = newest(path, 5, None, Wanted()).next_cursor
    path.rename(tmp_path / "audit.log.1")
    assert newest(path, 5, None, Wanted()) == Page([], None)
    log_of(path, *map(login, range(100, 120)))
    with pytest.raises(CursorExpired):
        newest(path, 5, cursor, Wanted())


def test_an_empty_log_has_no_entries(tmp_path: Path) -> None:
    (tmp_path / "audit.log").touch()
    assert newest(tmp_path / "audit.log", 5, None, Wanted()) == Page([], None)


@pytest.mark.timed
def test_a_long_log_answers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log_of(path, login(1, "rare"), *(login(number) for number in range(200_000)))
    for wanted in (Wanted(), Wanted(outcome="rare"), Wanted(employee_id=999_999)):
        began = time.perf_counter()
        page = newest(path, 100, None, wanted)
        assert time.perf_counter() - began < 0.5
        assert page.next_cursor
    assert [entry["employee_id"] for entry in all_pages(path, Wanted(outcome="rare"))] == [1]
