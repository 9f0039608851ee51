"""/readyz lists each part with its state and for how long it has been in it, ready or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from testbed.serving import ready_app


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    app = ready_app(tmp_path, audit_log=str(tmp_path / "audit.log"))
    yield app.test_client()
    app.extensions["service"].stop()


def states(client: FlaskClient, status: int) -> dict[str, str]:
    """The states of all parts, whose ages are sane."""
    answer = client.get("/readyz", headers={"Accept": "application/json"})
    assert answer.status_code == status
    parts = answer.get_json()["parts"]
    assert all(0 <= told["age_s"] < 60 for told in parts.values())
    return {part: told["state"] for part, told in parts.items()}


FINE = dict.fromkeys(("model", "database", "index", "slots", "audit_log"), "ok")


def test_the_part_that_fails_is_named_until_it_works_again(
    client: FlaskClient, tmp_path: Path
) -> None:
    assert states(client, 200) == {**FINE, "liveness": "off"}
    store, audit = tmp_path / "employees.db", tmp_path / "audit.log"
    for part, path in (("database", store), ("audit_log", audit)):
        aside = path.rename(tmp_path / "aside")
        if part == "audit_log":
            path.symlink_to("/dev/full")
            assert client.get("/api/get_all/1/1").status_code == 503
        for _ in range(2):
            assert states(client, 503) == {**FINE, "liveness": "off", part: "failing"}
        aside.rename(path)
        assert states(client, 200) == {**FINE, "liveness": "off"}


def test_a_part_that_works_again_is_told_while_another_fails(
    client: FlaskClient, tmp_path: Path
) -> None:
    store, audit = tmp_path / "employees.db", tmp_path / "audit.log"
    aside = store.rename(tmp_path / "aside")
    assert states(client, 503)["database"] == "failing"
    audit.unlink()
    audit.symlink_to("/dev/full")
    client.get("/api/get_all/1/1")
    aside.rename(store)
    assert states(client, 503) == {**FINE, "liveness": "off", "audit_log": "failing"}


def test_an_age_begins_anew_with_each_state(client: FlaskClient, tmp_path: Path) -> None:
    def age() -> float:
        answer = client.get("/readyz", headers={"Accept": "application/json"})
        found: float = answer.get_json()["parts"]["database"]["age_s"]
        return found

    age()
    while (before := age()) < 0.3:
        pass
    (tmp_path / "employees.db").rename(tmp_path / "aside.db")
    assert age() < before
    (tmp_path / "aside.db").rename(tmp_path / "employees.db")


def test_only_admins_see_the_parts(tmp_path: Path) -> None:
    key, line = new_key([Role.ADMIN])
    app = ready_app(tmp_path, api_keys=line)
    client = app.test_client()
    admin = {"Authorization": f"Bearer {key}"}
    for away in (False, True):
        if away:
            (tmp_path / "employees.db").rename(tmp_path / "aside.db")
        for headers, sees in ((admin, True), ({}, False)):
            accept = {"Accept": "application/json"}
            answer = client.get("/readyz", headers=headers | accept)
            assert answer.status_code == (503 if away else 200)
            assert ("parts" in answer.get_json()) is sees
    app.extensions["service"].stop()
