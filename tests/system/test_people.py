"""Real people, enrolled with one photo each, log in with their others, and nobody as another."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.photos import people
from testbed.serving import RunningService

pytestmark = pytest.mark.faces


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("people")) as service:
        yield service


def base64(photo: Path) -> str:
    return b64encode(photo.read_bytes()).decode()


def test_everybody_logs_in_as_themselves(service: RunningService) -> None:
    """First photo enrolled, all others tried, at the default threshold."""
    probes = []
    for employee_id, (name, (first, *others)) in enumerate(people().items(), 1):
        enrolment = {"name": name, "surname": "Test", "img_base64": base64(first)}
        answer = service.call("POST", f"/api/store/{employee_id}", json=enrolment)
        assert (answer.status_code, answer.text) == (200, "ok"), first
        expected = {"_id": employee_id, "name": name, "surname": "Test"}
        probes += [(photo, expected) for photo in others]
    assert len(probes) == 58

    right, wrong, rejected = 0, [], []
    for photo, expected in probes:
        answer = service.call("POST", "/api/find_match", json={"image_base64": base64(photo)})
        if answer.status_code == 200:
            right += answer.json() == expected
            wrong += [photo] if answer.json() != expected else []
        else:
            rejected.append((photo, answer.status_code, answer.text))
    print(f"{right} right, {len(wrong)} wrong, {len(rejected)} rejected")
    assert (right, wrong, rejected) == (58, [], [])
