"""From one model to another: nobody is let in who would not have been, and nobody is lost."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from testbed.photos import FACES, people
from testbed.serving import RunningService
from tests.support import facenet_weights
from tests.support.commands import run
from tests.support.stores import store_variables
from tests.support.waiting import eventually

pytestmark = pytest.mark.faces
STRANGERS = 30
Answers = list[tuple[int, str]]


class Company:
    """Everybody whose photos are here, one photo enrolled each, and strangers."""

    def __init__(self) -> None:
        photos = list(people().values())
        self.enrolled = [each[0] for each in photos]
        strangers = sorted((FACES / "lfw_dev").rglob("*.jpg"))[:: 4_992 // STRANGERS][:STRANGERS]
        self.probes = [photo for each in photos for photo in each[1:]] + strangers

    def enrol(self, service: RunningService) -> None:
        for number, photo in enumerate(self.enrolled):
            body = {"name": f"Number {number}", "surname": "x", "img_base64": base64(photo)}
            assert service.call("POST", f"/api/store/{number}", json=body).text == "ok"

    def answers(self, service: RunningService) -> Answers:
        """What each probe gets, as the frontend asks."""
        found = []
        for photo in self.probes:
            body = {"image_base64": base64(photo), "img_crop": False, "liveness": False}
            answer = service.call("POST", "/api/find_match", json=body | {"frames": []})
            found.append((answer.status_code, answer.text))
        return found


def base64(photo: Path) -> str:
    return b64encode(photo.read_bytes()).decode()


@pytest.mark.parametrize("store", ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)])
def test_from_dlib_to_a_network_of_random_weights(
    request: pytest.FixtureRequest, store: str, tmp_path: Path
) -> None:
    company, weights = Company(), tmp_path / "own.pt"
    sha256 = facenet_weights.write(weights)
    own = {"FACENET_WEIGHTS": str(weights), "FACENET_WEIGHTS_SHA256": sha256}
    own |= store_variables(request, store)
    here = {"SQLITE_PATH": str(tmp_path / "employees.db")}
    second = {"SECOND_FACE_MODEL": "facenet", "SECOND_MODEL_NEEDS_CHECKS": "false"}

    with RunningService(tmp_path, **own) as service:
        company.enrol(service)
        before = company.answers(service)
    let_in = sum(status == 200 for status, _ in before)
    with RunningService(tmp_path, **own | second) as service:
        assert company.answers(service) == before
        enrolled = service.call("GET", "/api/v2/system").json()["second_model"]["enrolled"]
    left = run("models", "migrate", "--json", **own | second | here)
    outlines = [json.loads(line) for line in left.stdout.splitlines()]
    total = len(company.enrolled)
    assert (len(outlines), {each["to_do"] for each in outlines}) == (total - enrolled, {"log in"})
    assert f"{enrolled} of {total} employees are enrolled under dlib and facenet-" in left.stderr
    assert "It does not tell them apart: do not change to it." in left.stderr
    print(f"{total} enrolled, {let_in} logins: {enrolled} under both, {len(outlines)} left")
    assert enrolled > total / 2

    with RunningService(tmp_path, ready=False, **own | {"FACE_MODEL": "facenet"}) as unfit:
        eventually(lambda: "pairs of different employees are nearer" in unfit.log, 60)
        probe = {"image_base64": base64(company.enrolled[0])}
        assert unfit.call("POST", "/api/find_match", json=probe).status_code == 503
    done = run("models", "migrate", "--finish", "--yes", **own | here)
    assert f"Deleted vectors of other models of {enrolled} employees." in done.stdout
    with RunningService(tmp_path, **own) as service:
        assert company.answers(service) == before
