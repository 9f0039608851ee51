"""The audit log: an entry for all that is done or refused, and tampering is found."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.access import Role
from app.access.api_keys import new_key
from app.audit import AuditLog, AuditUnavailable
from app.audit.chain import digest, verify
from app.audit.sinks import ChainedFile
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.commands import Done, run
from tests.support.features import random_vector

ADMIN, ADMIN_LINE = new_key([Role.ADMIN], "the-admin")
LOGIN, LOGIN_LINE = new_key([Role.LOGIN], "the-door")
WHO = {"name": "Grace", "surname": "Hopper"}


@pytest.fixture(scope="module")
def audited_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("audited")
    app = ready_app(
        folder, api_keys=f"{ADMIN_LINE} {LOGIN_LINE}", audit_log=str(folder / "audit.log")
    )
    app.config["AUDIT_LOG"] = folder / "audit.log"
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def admin(audited_app: Flask) -> FlaskClient:
    client = audited_app.test_client()
    client.environ_base |= {"HTTP_AUTHORIZATION": f"Bearer {ADMIN}", "REMOTE_ADDR": "10.1.2.3"}
    client.delete("/api/1")
    return client


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def last_entry(app: Flask) -> dict[str, Any]:
    return entries(app.config["AUDIT_LOG"])[-1]


def test_what_an_entry_tells(admin: FlaskClient, audited_app: Flask) -> None:
    def of_last(call: object) -> dict[str, Any]:
        entry = last_entry(audited_app)
        assert entry.pop("time")
        assert entry.pop("previous")
        assert entry.pop("request_id") == "r-1"
        assert (entry.pop("key"), entry.pop("address")) == ("the-admin", "10.1.2.3")
        return entry

    named = {"headers": {"X-Request-ID": "r-1"}}
    body = WHO | {"img_base64": photos.astronaut()}
    enrolled = {"employee_id": 1, "model": "dlib"}
    assert (
        of_last(admin.post("/api/store/1", json=body, **named))
        == {
            "action": "enrol",
            "outcome": "ok",
        }
        | enrolled
    )
    assert (
        of_last(admin.post("/api/store/1", json=body, **named))
        == {
            "action": "enrol",
            "outcome": "employee_exists",
        }
        | enrolled
    )
    login = of_last(admin.post("/api/find_match", json=body, **named))
    assert 0 <= login.pop("distance") < 0.1
    assert login == {"action": "login", "outcome": "ok"} | enrolled
    probe = {"img_base64": photos.admiral()}
    refused = of_last(admin.post("/api/find_match", json=probe, **named))
    assert refused.pop("distance") > 0.8
    assert refused == {
        "action": "login",
        "outcome": "no_match",
        "model": "dlib",
        "needed_below": 0.8,
    }
    no_face = of_last(admin.post("/api/find_match", json={"img_base64": photos.cat()}, **named))
    assert no_face == {"action": "login", "outcome": "no_face", "model": "dlib"}
    listed = of_last(admin.get("/api/get_all/30/1", **named))
    assert listed == {"action": "list", "outcome": "ok", "size": 30, "number": 1}
    exported = of_last(admin.get("/api/employees/1/export", **named))
    assert exported == {"action": "export", "outcome": "ok", "employee_id": 1}
    deleted = of_last(admin.delete("/api/1", **named))
    assert deleted == {"action": "delete", "outcome": "ok", "employee_id": 1}
    missing = of_last(admin.delete("/api/1", **named))
    assert missing == {"action": "delete", "outcome": "no_such_employee", "employee_id": 1}
    assert verify([audited_app.config["AUDIT_LOG"]]).findings == []


def test_refused_callers_are_in_the_audit_log(audited_app: Flask) -> None:
    client = audited_app.test_client()
    for headers, key, outcome in [
        ({}, None, "key_missing"),
        ({"X-API-Key": "guessed"}, None, "key_unknown"),
        ({"X-API-Key": LOGIN}, "the-door", "key_insufficient"),
    ]:
        client.delete("/api/1", headers=headers)
        entry = last_entry(audited_app)
        assert (entry["action"], entry["outcome"]) == ("access", outcome)
        assert (entry["method"], entry["endpoint"]) == ("DELETE", "employees.remove")
        assert entry.get("key") == key


def test_no_photo_vector_name_or_key_is_in_it(admin: FlaskClient, audited_app: Flask) -> None:
    vector = random_vector(3)
    admin.post("/api/store/1", json=WHO | {"img_features": [vector]})
    admin.post("/api/find_match", json={"img_base64": photos.astronaut()})
    admin.delete("/api/1", headers={"X-API-Key": "guessed"})
    text = audited_app.config["AUDIT_LOG"].read_text()
    secrets = [ADMIN, LOGIN, "guessed", "Grace", "Hopper", photos.astronaut()[:40]]
    for secret in [*secrets, *(str(number)[:8] for number in vector)]:
        assert secret not in text
    assert max(map(len, text.splitlines())) < 500


def test_nothing_is_acknowledged_without_an_entry(tmp_path: Path) -> None:
    # a device that takes no byte, as a full disk does
    path = tmp_path / "audit.log"
    path.symlink_to("/dev/full")
    full = AuditLog(ChainedFile(path))
    with pytest.raises(AuditUnavailable, match=r"AUDIT_LOG.*No space"), full.entry("delete"):
        pass
    app = ready_app(tmp_path, audit_log=str(path))
    client = app.test_client()
    response = client.post("/api/store/1", json=WHO | {"img_features": [random_vector(1)]})
    assert (response.status_code, response.text) == (503, "the audit log is unavailable, try again")
    login = client.post("/api/find_match", json={"img_base64": photos.astronaut()})
    assert login.status_code == 503
    app.extensions["service"].stop()


def verified(path: Path, *options: str) -> Done:
    return run("audit", "verify", str(path), *options)


def test_the_command_verifies(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(ChainedFile(path))
    for number in range(3):
        log.write("delete", "ok", employee_id=number)
    lines = path.read_bytes().splitlines()
    kept = digest(lines[-1])
    sound = verified(path)
    assert sound.returncode == 0
    assert f"3 lines, the last one has the hash {kept}" in sound.stdout
    path.write_bytes(b"".join(entry + b"\n" for entry in lines[:2]))
    assert verified(path).returncode == 0
    cut = verified(path, "--kept", kept)
    assert cut.returncode == 1
    assert "the end was cut off" in cut.stderr
    assert verified(tmp_path / "nowhere").returncode == 1


def test_rotated_files_may_be_compressed(tmp_path: Path) -> None:
    path, packed = tmp_path / "audit.log", tmp_path / "audit.log.1.gz"
    log = AuditLog(ChainedFile(path))
    for _ in range(3):
        log.write("test", "ok")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    log.write("test", "ok")
    report = verify([packed, path])
    assert (report.lines, report.findings, report.begins) == (4, [], [])
    packed.write_bytes(packed.read_bytes()[:-20])
    damaged = verified(packed)
    assert damaged.returncode == 1
    assert f"{packed}: it cannot be unpacked" in damaged.stderr
