"""The photo calls of `/api/v2` of a running service: with keys, files, checks and an audit log."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from app.access import Role
from app.access.api_keys import new_key
from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.stores import store_variables
from tools.liveness_service import LivenessService

PROBLEM = "application/problem+json"
KEYS = {role.value: new_key([role]) for role in Role}
ME = ("me.jpg", base64.b64decode(photos.astronaut_again()))
FILE = {"photo": ME}
TWO = [("photos", ME), ("photos", ("other.jpg", GRACE_HOPPER.read_bytes()))]
FRAMES = [("frames", ("frame.jpg", ME[1]))] * 15


@dataclass(frozen=True, slots=True)
class Running:
    """A service in which the astronaut is employee 1, and its audit log."""

    service: RunningService
    audit_log: Path

    def send(
        self, who: str, name: str, files: object = (), method: str = "POST", **fields: object
    ) -> requests.Response:
        """The answer to a form."""
        options = {"files": files, "data": fields} if files or fields else {}
        headers = {"Authorization": f"Bearer {KEYS[who][0]}"} if who in KEYS else {}
        return self.service.call(method, f"/api/v2/{name}", headers=headers, **options)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)]
)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    liveness: LivenessService,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("v2")
    variables = {
        "API_KEYS": "\n".join(line for _, line in KEYS.values()),
        "AUDIT_LOG": str(folder / "audit.log"),
        "LIVENESS_SERVICE_URL": liveness.url,
        "MAX_BODY_MB": "8",
    } | store_variables(request, request.param)
    with RunningService(folder, **variables) as service:
        picture = base64.b64encode(ASTRONAUT.read_bytes()).decode()
        body = {"name": "Eileen", "surname": "Collins", "img_base64": picture}
        headers = {"Authorization": f"Bearer {KEYS['enrol'][0]}"}
        assert service.call("POST", "/api/store/1", json=body, headers=headers).ok
        yield Running(service, folder / "audit.log")


def test_a_person_logs_in_with_files(running: Running) -> None:
    for who in ("login", "admin"):
        answer = running.send(who, "identifications", FILE).json()
        assert answer.pop("took_ms") > 0
        match = {"employee_id": 1, "name": "Eileen", "surname": "Collins"}
        assert answer == {"match": match, "checks": [], "model": "dlib"}
        answer = running.send(who, "verifications", FILE, employee_id=1).json()
        assert answer.pop("took_ms") > 0
        assert answer == {"verified": True, "checks": [], "model": "dlib"}


def test_checks_decide(running: Running, liveness: LivenessService) -> None:
    files = [("photo", ME), *FRAMES]
    for rule, status in (("alive", 200), ("dead", 406)):
        liveness.told(rule=rule)
        answer = running.send("login", "verifications", files, employee_id=1, checks="liveness")
        assert answer.status_code == status
        said = answer.json()
        assert said["checks"] == ["liveness"] if status == 200 else said["code"] == "not_alive"
    both = {"checks": ["liveness", "fraud"]}
    liveness.told(rule="alive")
    still = running.send("login", "identifications", files, **both)
    assert (still.status_code, still.json()["code"]) == (406, "fraud_suspected")


def test_a_refused_verification_does_not_tell_who_is_enrolled(running: Running) -> None:
    other = {"photo": ("other.jpg", GRACE_HOPPER.read_bytes())}
    said = []
    for employee_id in (1, 2):
        answer = running.send("login", "verifications", other, employee_id=employee_id)
        assert (answer.status_code, answer.headers["Content-Type"]) == (406, PROBLEM)
        said.append({**answer.json(), "request_id": None})
    assert said[0] == said[1]
    assert said[0]["code"] == "not_verified"


def test_only_admins_see_scores(running: Running) -> None:
    calls = {"candidates": FILE, "comparisons": TWO, "feature-vectors": TWO}
    for name, files in calls.items():
        for who in ("login", "enrol", "monitor"):
            answer = running.send(who, name, files)
            assert (answer.status_code, answer.json()["code"]) == (403, "key_insufficient")
            assert answer.headers["Content-Type"] == PROBLEM
    (found,) = running.send("admin", "candidates", FILE).json()["candidates"]
    assert found["employee"]["employee_id"] == 1
    assert found["comparison_score"] > 0.999
    assert running.send("admin", "comparisons", TWO).json()["matched"] is False
    vectors = running.send("admin", "feature-vectors", TWO).json()["vectors"]
    assert [len(each["feature_vector"]) for each in vectors] == [128, 128]
    for who in ("login", "enrol", "admin"):
        (face,) = running.send(who, "faces", FILE).json()["faces"]
        assert face["usable"] is True


def test_every_error_is_json_over_a_socket(running: Running) -> None:
    large = {"photo": ("large.jpg", bytes(9_000_000))}
    for answer, status in (
        (running.send("nobody", "faces", FILE), 401),
        (running.send("admin", "nothing"), 404),
        (running.send("admin", "faces", method="GET"), 405),
        (running.send("login", "faces", large), 413),
        (running.send("login", "faces", {"photo": ("x", b"no picture")}), 415),
        (running.send("login", "identifications", {"photo": ("x", bytes(10))}), 415),
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM)
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_the_audit_log_holds_verifications_and_searches(running: Running) -> None:
    running.send("login", "verifications", FILE, employee_id=1)
    running.send("login", "verifications", FILE, employee_id=2)
    running.send("admin", "candidates", FILE, limit=3)
    entries = [json.loads(line) for line in running.audit_log.read_text().splitlines()[-3:]]
    assert [(each["action"], each["outcome"]) for each in entries] == [
        ("verify", "ok"),
        ("verify", "not_verified"),
        ("candidates", "ok"),
    ]
    assert [each.get("employee_id") for each in entries] == [1, 2, None]
    assert 0 < entries[0]["distance"] < 0.8
    assert (entries[2]["size"], entries[2]["shown"]) == (3, [1])
