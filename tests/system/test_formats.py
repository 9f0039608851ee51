"""One man's portrait logs him in, whatever form the file has; other files get a sentence."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from testbed.photos import FACES, people
from testbed.serving import RunningService

pytestmark = pytest.mark.faces

DISTRACTORS = ("Family1-Dad", "Family1-Son", "Family3-Man", "p01", "p05", "p13")
REFUSED = {
    "tiny_24px.jpg": 422,
    "noface_grey.jpg": 422,
    "noface_noise.png": 422,
    "truncated_half.jpg": 415,
    "not_an_image.jpg": 415,
    "empty.jpg": 400,
}
TWO_PEOPLE = "two_people_side_by_side.jpg"
MAN = 42


def names(folder: str) -> list[str]:
    """The photos in that folder of the development set; none where it is absent."""
    paths = (FACES / folder).glob("*") if FACES.is_dir() else []
    return sorted(path.name for path in paths if path.suffix != ".txt")


READABLE = [name for name in names("formats") if name not in (*REFUSED, TWO_PEOPLE)]


def base64(photo: Path) -> str:
    return b64encode(photo.read_bytes()).decode()


def enrol(service: RunningService, employee_id: int, photo: Path) -> requests.Response:
    body = {"name": photo.stem, "surname": "Test", "img_base64": base64(photo)}
    return service.call("POST", f"/api/store/{employee_id}", json=body)


def log_in(service: RunningService, photo: Path) -> requests.Response:
    return service.call("POST", "/api/find_match", json={"img_base64": base64(photo)})


def assert_refused(answer: requests.Response, status: int) -> None:
    """With one short sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 10 < len(answer.text) < 120
    assert "\n" not in answer.text


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The man is enrolled among others."""
    with RunningService(tmp_path_factory.mktemp("formats")) as service:
        assert enrol(service, MAN, FACES / "formats" / "base.jpg").ok
        for employee_id, name in enumerate(DISTRACTORS, 1):
            assert enrol(service, employee_id, people()[name][0]).ok
        yield service


def test_the_set_is_complete() -> None:
    assert len(READABLE) == 35


@pytest.mark.parametrize("name", READABLE)
def test_every_format_logs_the_man_in(name: str, service: RunningService) -> None:
    answer = log_in(service, FACES / "formats" / name)
    assert answer.status_code == 200, answer.text
    assert answer.json()["_id"] == MAN


@pytest.mark.parametrize("name", REFUSED)
def test_pictures_without_a_person_are_refused(name: str, service: RunningService) -> None:
    photo = FACES / "formats" / name
    assert_refused(log_in(service, photo), REFUSED[name])
    assert_refused(enrol(service, 1000, photo), REFUSED[name])


def test_two_people_are_not_enrolled_as_one(service: RunningService) -> None:
    answer = enrol(service, 1000, FACES / "formats" / TWO_PEOPLE)
    assert_refused(answer, 422)
    assert "several faces" in answer.text


@pytest.mark.parametrize("name", names("no_face"))
def test_a_photo_without_a_face_is_refused(name: str, service: RunningService) -> None:
    assert_refused(log_in(service, FACES / "no_face" / name), 422)
    assert_refused(enrol(service, 1000, FACES / "no_face" / name), 422)
