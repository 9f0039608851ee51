"""Fraud detection at login: every attack we know of is refused, and living people are let in.

Over the HTTP interface, with films made of real photos (see testbed/films.py).
"""

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from app.recognition.detector import FaceDetector
from app.recognition.perceptual_hash import BYTES
from app.recognition.recogniser import Recogniser
from app.storage import UsedProbe
from app.usecases.used_probes import ALWAYS_KEPT, MOST_USED
from testbed import copies, films
from testbed.films import FRAMES, Camera, Moment, Portrait
from testbed.photos import ASTRONAUT, FACES, GRACE_HOPPER, picture
from testbed.serving import ready_app
from tests.support import sent_photos

WINDOW_S = 3600

STILL = "Fraud check failed: the face in the frames does not move, blink or say a word"
ANOTHER = "Fraud check failed: the photo and the frames show different people"
SEVERAL = "Fraud check failed: several faces are in front of the camera"
ENROLLED = "Fraud check failed: the photo is a copy of one from the enrolment"
USED = "Fraud check failed: the photo was used before, take a new one"
SHAPES = "Fraud check failed: the face has different proportions in the photo and the frames"
NOBODY = "no matches found"
OFTEN = "Fraud check failed: you have logged in too often, try again later"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = ready_app(tmp_path_factory.mktemp("fraud"), replay_window_s=WINDOW_S)
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def client(service: Flask) -> FlaskClient:
    """A client of the service, in which nobody is enrolled."""
    store = service.extensions["service"].store
    for employee in list(store.read_all()):
        store.remove(employee.employee_id)
    return service.test_client()


@pytest.fixture(scope="module")
def portrait_of(detector: FaceDetector) -> Callable[[Path], Portrait]:
    return cache(lambda photo: films.portrait(picture(photo), detector))


PortraitOf = Callable[[Path], Portrait]


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def enrol(client: FlaskClient, employee_id: int, photo: bytes) -> None:
    body = {"name": "Ada", "surname": "Lovelace", "img_base64": base64_of(photo)}
    assert client.post(f"/api/store/{employee_id}", json=body).status_code == 200


def log_in(
    client: FlaskClient, probe: bytes, frames: Sequence[bytes], **more: object
) -> dict[str, Any] | str:
    """The employee, or what the person reads."""
    body = {
        "img_base64": base64_of(probe),
        "frames": [base64_of(frame) for frame in frames],
        "fraud_detection": True,
    }
    response = client.post("/api/find_match", json=body | more)
    if response.status_code == 200:
        employee: dict[str, Any] = response.get_json()
        return employee
    assert response.status_code == 406, response.text
    return response.text


@cache
def living(who: Portrait, seed: int) -> tuple[bytes, list[bytes]]:
    """A probe, and the film beside it."""
    rng = np.random.default_rng(seed)
    probe, *frames = films.filmed(who, [Moment(), *films.alive(rng)], rng, Camera())
    return probe, frames


ADA = {"_id": 1, "name": "Ada", "surname": "Lovelace"}


class Someone:
    """An employee enrolled with one photo; the films are made from a second and a third one."""

    def __init__(self, client: FlaskClient, portrait_of: PortraitOf, *photos: Path) -> None:
        self.enrolled, self.now = (
            photos[0].read_bytes(),
            portrait_of(photos[min(1, len(photos) - 1)]),
        )
        enrol(client, 1, self.enrolled)
        self.probe, self.frames = living(self.now, seed=1)
        self.still = films.jpeg(self.now.picture)
        self.later = living(portrait_of(photos[-1]), seed=2)


def of(person: str, *photos: str) -> tuple[Path, ...]:
    return tuple(FACES / "people" / person / f"{photo}.jpg" for photo in photos)


PEOPLE = [
    of("p01", "img1", "img2", "img4"),
    of("p03", "img8", "img9", "img50"),
]


@pytest.fixture(
    params=[pytest.param(p, marks=pytest.mark.faces, id=p[0].parent.name) for p in PEOPLE]
)
def someone(
    request: pytest.FixtureRequest, client: FlaskClient, portrait_of: PortraitOf
) -> Someone:
    return Someone(client, portrait_of, *request.param)


@pytest.fixture
def other(portrait_of: PortraitOf) -> Portrait:
    """Somebody who is not enrolled."""
    return portrait_of(GRACE_HOPPER)


def test_a_living_person_is_let_in_and_comes_back(client: FlaskClient, someone: Someone) -> None:
    assert log_in(client, someone.probe, someone.frames) == ADA
    assert log_in(client, *someone.later) == ADA


@pytest.mark.parametrize("attack", list(films.STILLS))
def test_a_single_still_is_refused(client: FlaskClient, someone: Someone, attack: str) -> None:
    frames = films.STILLS[attack](someone.now.picture, np.random.default_rng(2))
    assert log_in(client, someone.still, frames) == STILL


def test_frames_of_another_person(client: FlaskClient, someone: Someone, other: Portrait) -> None:
    assert log_in(client, someone.still, living(other, 3)[1]) == ANOTHER


def test_frames_of_which_8_are_another_person(
    client: FlaskClient, someone: Someone, other: Portrait
) -> None:
    theirs = living(other, 4)[1]
    mixed = [theirs[n] if n % 2 == 0 else someone.frames[n] for n in range(FRAMES)]
    assert log_in(client, someone.probe, mixed) == ANOTHER
    assert log_in(client, someone.probe, theirs[:8] + someone.frames[8:]) == ANOTHER


def lfw(name: str, *numbers: int) -> tuple[Path, ...]:
    return tuple(FACES / "lfw_dev" / name / f"{name}_{number:04}.jpg" for number in numbers)


@pytest.mark.parametrize("attack", [pytest.param(a, marks=pytest.mark.faces) for a in films.STILLS])
def test_a_still_that_is_hard_to_register(
    client: FlaskClient, portrait_of: PortraitOf, attack: str
) -> None:
    """The landmarks jump and the chin is cut off; brightened, forehead and cheeks are not seen."""
    someone = Someone(client, portrait_of, *lfw("Robbie_Williams", 3))
    frames = films.STILLS[attack](someone.now.picture, np.random.default_rng(3))
    assert log_in(client, frames[0], frames) in (STILL, ANOTHER, SEVERAL)


@pytest.mark.parametrize("theirs", [pytest.param(n, marks=pytest.mark.faces) for n in (8, FRAMES)])
def test_frames_of_a_lookalike(client: FlaskClient, portrait_of: PortraitOf, theirs: int) -> None:
    """All are nearer to the photo than α."""
    someone = Someone(client, portrait_of, *lfw("Lee_Jun", 1, 2))
    film = living(portrait_of(*lfw("Jia_Qinglin", 2)), seed=4)[1]
    assert log_in(client, someone.probe, film[:theirs] + someone.frames[theirs:]) == ANOTHER


COPIES: dict[str, Callable[[bytes], bytes]] = {
    "as it was": lambda photo: photo,
    "mirrored": lambda photo: films.jpeg(np.ascontiguousarray(picture(photo)[:, ::-1])),
    "re-encoded": lambda photo: films.jpeg(picture(photo), 50),
    "resized": lambda photo: films.jpeg(
        np.asarray(cv2.resize(picture(photo), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    ),
    "darker": lambda photo: films.jpeg((picture(photo) * 0.6).astype(np.uint8)),
}


@pytest.mark.parametrize("copy", list(COPIES))
def test_the_enrolment_photo(client: FlaskClient, someone: Someone, copy: str) -> None:
    said = log_in(client, COPIES[copy](someone.enrolled), someone.frames)
    assert said in (ENROLLED, SHAPES)


@pytest.mark.parametrize("copy", ["as it was", "mirrored", "re-encoded"])
def test_the_same_probe_twice(client: FlaskClient, someone: Someone, copy: str) -> None:
    assert log_in(client, someone.probe, someone.frames) == ADA
    again = living(someone.now, seed=5)[1]  # the film is new
    assert log_in(client, COPIES[copy](someone.probe), again) == USED


CHANGES: dict[str, copies.Change] = {
    name: (copies.STRETCHES | copies.TONES)[name]
    for name in (
        "squeezed to 75 % of its width",
        "squeezed to 80 % of its height",
        "sheared by 0.25",
        "with the green above half inverted",
    )
}
"""All of them are tried in test_film.py."""


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_replay_of_everything(client: FlaskClient, someone: Someone, change: str) -> None:
    """The photo and every frame of a login, all changed in the same way."""
    assert log_in(client, someone.probe, someone.frames) == ADA
    probe, *frames = (
        copies.changed(each, CHANGES[change]) for each in (someone.probe, *someone.frames)
    )
    assert log_in(client, probe, frames) in (USED, ENROLLED, STILL, ANOTHER, NOBODY)


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_replay_with_the_photo_changed(
    client: FlaskClient, someone: Someone, change: str
) -> None:
    """The frames are sent again as they were."""
    assert log_in(client, someone.probe, someone.frames) == ADA
    probe = copies.changed(someone.probe, CHANGES[change])
    assert log_in(client, probe, someone.frames) in (USED, SHAPES, ANOTHER, NOBODY)


REPLAYS: dict[str, Callable[[Someone], tuple[bytes, list[bytes]]]] = {
    "backwards": lambda who: (who.probe, who.frames[::-1]),
    "a frame as the photo": lambda who: (
        who.frames[7],
        [*who.frames[:7], who.probe, *who.frames[8:]],
    ),
    "a new photo": lambda who: (who.later[0], who.frames),
    "one new frame": lambda who: (who.later[0], [who.later[1][0], *who.frames[1:]]),
    "four old frames": lambda who: (who.later[0], [*who.later[1][:11], *who.frames[:4]]),
    "re-encoded": lambda who: (who.probe, [films.jpeg(picture(each), 60) for each in who.frames]),
}


@pytest.mark.parametrize("replay", list(REPLAYS))
def test_frames_are_remembered_as_photos_are(
    client: FlaskClient, someone: Someone, replay: str
) -> None:
    assert log_in(client, someone.probe, someone.frames) == ADA
    assert log_in(client, *REPLAYS[replay](someone)) in (USED, ANOTHER)


@pytest.mark.parametrize("change", list(CHANGES))
def test_the_enrolment_photo_changed(client: FlaskClient, someone: Someone, change: str) -> None:
    """The film is a new one of the person."""
    probe = copies.changed(someone.enrolled, CHANGES[change])
    assert log_in(client, probe, someone.frames) in (ENROLLED, SHAPES, ANOTHER)


def test_two_faces(client: FlaskClient, someone: Someone, other: Portrait) -> None:
    frames = films.beside(someone.now, other, np.random.default_rng(6))
    assert log_in(client, someone.still, frames) == SEVERAL
    assert log_in(client, frames[0], someone.frames) == SEVERAL


# What must run anywhere: two women whose photos come with packages. Each is enrolled with the
# feature vector of the only photo there is, so that no film of it shows a copy.


@pytest.fixture
def astronaut(client: FlaskClient, portrait_of: PortraitOf, recogniser: Recogniser) -> Portrait:
    vector = recogniser.for_enrolment(ASTRONAUT.read_bytes()).vector
    body = {"name": "Ada", "surname": "Lovelace", "img_features": [vector.tolist()]}
    assert client.post("/api/store/1", json=body).status_code == 200
    return portrait_of(ASTRONAUT)


@pytest.mark.parametrize("seed", range(3))
def test_the_astronaut_is_let_in(client: FlaskClient, astronaut: Portrait, seed: int) -> None:
    assert log_in(client, *living(astronaut, seed)) == ADA


@pytest.mark.parametrize("attack", list(films.STILLS))
def test_a_still_of_the_astronaut(client: FlaskClient, astronaut: Portrait, attack: str) -> None:
    frames = films.STILLS[attack](astronaut.picture, np.random.default_rng(2))
    assert log_in(client, films.jpeg(astronaut.picture), frames) == STILL


def test_the_astronauts_photo_with_a_film_of_the_admiral(
    client: FlaskClient, astronaut: Portrait, other: Portrait
) -> None:
    mine, theirs = living(astronaut, 1), living(other, 2)
    assert log_in(client, mine[0], theirs[1]) == ANOTHER
    assert log_in(client, mine[0], theirs[1][:8] + mine[1][8:]) == ANOTHER
    both = films.beside(astronaut, other, np.random.default_rng(3))
    assert log_in(client, mine[0], both) == SEVERAL
    assert log_in(client, both[0], mine[1]) == SEVERAL


def test_a_photo_logs_in_once(client: FlaskClient, astronaut: Portrait) -> None:
    probe, frames = living(astronaut, 1)
    assert log_in(client, probe, frames) == ADA
    assert log_in(client, probe, frames) == USED


def test_a_refused_film_uses_up_no_photo(client: FlaskClient, astronaut: Portrait) -> None:
    probe, frames = living(astronaut, 1)
    assert log_in(client, probe, [frames[0]] * FRAMES) == STILL
    assert log_in(client, probe, frames) == ADA


@pytest.mark.parametrize("days", [2, -2])
def test_a_clock_that_jumps_forgets_nobody_and_locks_nobody_out(
    client: FlaskClient, astronaut: Portrait, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    probe, frames = living(astronaut, 1)
    assert log_in(client, probe, frames) == ADA
    now = time.time
    with monkeypatch.context() as jumped:
        jumped.setattr(time, "time", lambda: now() + days * 86_400)
        assert log_in(client, probe, frames) == USED
    assert log_in(client, probe, frames) == USED


def remember(service: Flask, untils: Sequence[float]) -> list[UsedProbe]:
    """Logins of employee 1 with pictures like no other, to be remembered until so many seconds."""
    store = service.extensions["service"].store
    (ada,) = store.get([1])
    rng = np.random.default_rng(1)
    for until in untils:
        used = UsedProbe(rng.bytes(2 * BYTES), time.time() + until)
        store.use_probe(ada, used, lambda _: 0)
    remembered: list[UsedProbe] = store.used_probes(1)
    return remembered


@pytest.mark.parametrize(
    ("oldest_until", "answer"),
    [(-1, ADA), (60, OFTEN), (2 * WINDOW_S, ADA)],
    ids=["expired", "not expired", "by a clock that was wrong"],
)
def test_if_no_more_can_be_remembered_nobody_is_let_in(
    service: Flask,
    client: FlaskClient,
    astronaut: Portrait,
    oldest_until: float,
    answer: dict[str, Any] | str,
) -> None:
    before = remember(service, [oldest_until, *[WINDOW_S] * (MOST_USED - 1)])
    assert log_in(client, *living(astronaut, 1)) == answer
    after = service.extensions["service"].store.used_probes(1)
    assert after[: MOST_USED - 1] == (before[1:] if answer == ADA else before[:-1])
    assert len(client.get("/api/employees/1/export").get_json()["used_photos"]) == MOST_USED


def test_the_last_logins_are_remembered_after_the_time_for_it(
    service: Flask, client: FlaskClient, astronaut: Portrait
) -> None:
    before = remember(service, [-1] * (ALWAYS_KEPT + 20))
    assert log_in(client, *living(astronaut, 1)) == ADA
    after = service.extensions["service"].store.used_probes(1)
    assert after[:-1] == before[1 - ALWAYS_KEPT :]


def test_of_logins_with_one_photo_at_once_one_gets_in(
    service: Flask, client: FlaskClient, astronaut: Portrait
) -> None:
    at_once = 4
    probe, frames = living(astronaut, 1)

    def once_more(_: int) -> dict[str, Any] | str:
        return log_in(service.test_client(), probe, frames)

    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(once_more, range(at_once)))
    assert answers.count(ADA) == 1
    assert answers.count(USED) == at_once - 1
    assert len(service.extensions["service"].store.used_probes(1)) == 1


def test_the_enrolment_photo_of_the_astronaut(client: FlaskClient, portrait_of: PortraitOf) -> None:
    enrol(client, 1, ASTRONAUT.read_bytes())
    frames = living(portrait_of(ASTRONAUT), 1)[1]
    with capture_logs() as lines:
        for copy in COPIES.values():
            assert log_in(client, copy(ASTRONAUT.read_bytes()), frames) == ENROLLED
    assert "login" not in [line["event"] for line in lines]
    assert client.get("/api/employees/1/export").get_json()["used_photos"] == []
    # another enrolment forgets it
    body = {"name": "Grace", "surname": "Hopper", "img_base64": sent_photos.admiral()}
    assert client.put("/api/store/1", json=body).status_code == 200
    assert log_in(client, ASTRONAUT.read_bytes(), frames) == "no matches found"


def test_frames_without_a_face(client: FlaskClient, astronaut: Portrait) -> None:
    probe, frames = living(astronaut, 1)
    wall = films.jpeg(np.full((300, 300, 3), 128, np.uint8))
    assert log_in(client, probe, [*frames[:11], *[wall] * 4]) == ADA
    refused = log_in(client, living(astronaut, 2)[0], [*frames[:10], *[wall] * 5])
    assert refused == "Fraud check failed: only 10 of 15 frames show a clear face"


@pytest.mark.parametrize("frames", [0, 1, 14, 16])
def test_a_wrong_number_of_frames_is_refused(
    client: FlaskClient, astronaut: Portrait, frames: int
) -> None:
    probe, film = living(astronaut, 1)
    body = {
        "img_base64": base64_of(probe),
        "frames": [base64_of(frame) for frame in (film + film)[:frames]],
        "fraud_detection": True,
    }
    response = client.post("/api/find_match", json=body)
    assert (response.status_code, response.text) == (
        400,
        f"frames: 15 are needed for fraud_detection, {frames} were sent",
    )


def test_fraud_detection_works_without_the_box_for_cropping(
    client: FlaskClient, astronaut: Portrait
) -> None:
    assert log_in(client, *living(astronaut, 1), img_crop=False) == ADA
