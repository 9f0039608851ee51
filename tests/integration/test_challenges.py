"""Logins with a liveness session: the frames must show the challenge, made by the photo's person.

With films made of photos (see testbed/challenge_films.py).
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from app.audit import AuditLog
from app.lifecycle import Service
from app.liveness.client import LivenessClient, Timeouts
from app.recognition.challenge import CHALLENGES, fault
from app.recognition.detector import FaceDetector
from app.recognition.image import Photo
from app.recognition.recogniser import Recogniser
from app.usecases.enrolment import Enrolment, EnrolmentRequest
from app.usecases.fraud_detection import FraudSuspected
from app.usecases.liveness_sessions import SessionGone, open_session
from app.usecases.login import Login
from app.usecases.migration import Migration, Terms
from app.usecases.probes import Examination, NotAlive, Probe
from models.catalogue import FaceModel
from testbed import challenge_films, films
from testbed.films import Camera, Portrait
from testbed.photos import ASTRONAUT, FACES, GRACE_HOPPER, picture
from testbed.runtimes import remembering_runtime
from testbed.serving import ready_app

NEAR = 0.37, 0.28  # L2 distances: of one person's faces, of one moment's
PEOPLE = [
    pytest.param(FACES / "people/p01/img1.jpg", marks=pytest.mark.faces, id="p01"),
    pytest.param(FACES / "people/p03/img8.jpg", marks=pytest.mark.faces, id="p03"),
]


@pytest.fixture(scope="module")
def recogniser(dlib_model: FaceModel) -> Recogniser:
    """One whose networks run once on the same frames."""
    return Recogniser(remembering_runtime("cpu"), dlib_model)


@cache
def portrait(photo: Path, detector: FaceDetector) -> Portrait:
    return films.portrait(picture(photo), detector, longest=360)


@pytest.fixture(params=PEOPLE)
def person(request: pytest.FixtureRequest, detector: FaceDetector) -> Portrait:
    return portrait(request.param, detector)


@pytest.fixture
def admiral(detector: FaceDetector) -> Portrait:
    return portrait(GRACE_HOPPER, detector)


@cache
def performed(person: Portrait, challenge: str, seed: int = 3) -> tuple[bytes, list[bytes]]:
    """A probe, and the film beside it."""
    rng = np.random.default_rng(seed)
    moments = challenge_films.performing(challenge, rng)
    return challenge_films.login(person, moments, rng, Camera())


def passed(recogniser: Recogniser, probe: bytes, frames: Sequence[bytes]) -> set[str]:
    """The challenges that a film passes."""
    sequence = recogniser.for_frames(probe, frames)
    return {name for name in CHALLENGES if fault(sequence, name, *NEAR) is None}


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_a_film_passes_what_it_shows_and_nothing_else(
    recogniser: Recogniser, admiral: Portrait, challenge: str
) -> None:
    assert passed(recogniser, *performed(admiral, challenge)) == {challenge}


@pytest.mark.parametrize("challenge", ["look_up_then_down", "turn_both_ways"])
def test_so_do_the_films_of_others(
    recogniser: Recogniser, person: Portrait, challenge: str
) -> None:
    assert passed(recogniser, *performed(person, challenge)) == {challenge}


def mirrored(frame: bytes) -> bytes:
    return films.jpeg(np.ascontiguousarray(Photo(frame, 1).decode()[:, ::-1]))


@pytest.mark.parametrize("challenge", ["turn_both_ways", "look_up_then_turn"])
def test_a_camera_may_mirror_its_pictures(
    recogniser: Recogniser, admiral: Portrait, challenge: str
) -> None:
    probe, frames = performed(admiral, challenge)
    assert passed(recogniser, probe, [mirrored(frame) for frame in frames]) == {challenge}


def test_who_does_nothing_passes_nothing(recogniser: Recogniser, person: Portrait) -> None:
    rng = np.random.default_rng(1)
    film = challenge_films.login(person, films.alive(rng), rng, Camera())
    assert passed(recogniser, *film) == set()


@pytest.mark.parametrize("attack", ["tilted", "bent", "held in a shaking hand"])
def test_a_still_passes_nothing(recogniser: Recogniser, admiral: Portrait, attack: str) -> None:
    frames = films.STILLS[attack](admiral.picture, np.random.default_rng(2))
    assert passed(recogniser, films.jpeg(admiral.picture), frames) == set()


@pytest.mark.parametrize("challenge", ["turn_both_ways", "look_down_then_turn"])
def test_a_print_that_is_turned_passes_nothing(
    recogniser: Recogniser, person: Portrait, challenge: str
) -> None:
    rng = np.random.default_rng(4)
    frames = challenge_films.print_in_hand(person, challenge_films.performing(challenge, rng), rng)
    assert passed(recogniser, films.jpeg(person.picture), frames) == set()


def test_moves_of_somebody_else_do_not_count(
    recogniser: Recogniser, admiral: Portrait, detector: FaceDetector
) -> None:
    probe, own = performed(admiral, "turn_both_ways")
    _, others = performed(portrait(ASTRONAUT, detector), "turn_both_ways")
    assert passed(recogniser, probe, others) == set()
    assert passed(recogniser, probe, [*own[:2], *others[2:13], *own[13:]]) == set()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which the admiral is enrolled."""
    app = ready_app(tmp_path_factory.mktemp("challenges"))
    service: Service = app.extensions["service"]
    photos = [GRACE_HOPPER.read_bytes()]
    Enrolment(service, AuditLog(None)).add(EnrolmentRequest(1, "Grace", "Hopper", photos=photos))
    yield service
    service.stop()


@pytest.fixture
def log_in(service: Service) -> Login:
    no_liveness = LivenessClient(None, Timeouts(1, 1, 1, 0), None)
    audit = AuditLog(None)
    examine = Examination(service, no_liveness, 60)
    return Login(service, examine, audit, Migration(service, audit, Terms()))


def test_who_performs_the_challenge_is_let_in_once(
    service: Service, log_in: Login, admiral: Portrait
) -> None:
    session = open_session(service.store, "door")
    probe, frames = performed(admiral, session.challenge)
    employee = log_in(Probe(probe, frames, session_id=session.session_id, owner="door"))
    assert employee.employee_id == 1
    with pytest.raises(SessionGone):
        log_in(Probe(probe, frames, session_id=session.session_id, owner="door"))


def test_a_session_of_another_key_lets_nobody_in(
    service: Service, log_in: Login, admiral: Portrait
) -> None:
    session = open_session(service.store, "door")
    pictures = performed(admiral, session.challenge)
    with pytest.raises(SessionGone):
        log_in(Probe(*pictures, session_id=session.session_id, owner="gate"))


def test_another_challenge_lets_nobody_in_and_uses_the_session_up(
    service: Service, log_in: Login, admiral: Portrait
) -> None:
    session = open_session(service.store)
    other = next(name for name in CHALLENGES if name != session.challenge)
    pictures = performed(admiral, other)
    with bound_contextvars():
        with pytest.raises(NotAlive):
            log_in(Probe(*pictures, session_id=session.session_id))
        logged = get_contextvars()
    assert logged["challenge"] == session.challenge
    assert logged["fault"]
    with pytest.raises(SessionGone):
        log_in(Probe(*pictures, session_id=session.session_id))


def test_a_session_takes_frames(service: Service, log_in: Login) -> None:
    session = open_session(service.store)
    with pytest.raises(ValueError, match="frames"):
        log_in(Probe(GRACE_HOPPER.read_bytes(), session_id=session.session_id))


def test_fraud_detection_takes_a_head_that_moves_as_asked(
    service: Service, log_in: Login, admiral: Portrait
) -> None:
    session = open_session(service.store)
    pictures = performed(admiral, session.challenge)
    # The film is made of the photo of the enrolment; nothing else is wrong with it.
    with pytest.raises(FraudSuspected, match="copy of one from the enrolment"):
        log_in(Probe(*pictures, fraud_detection=True, session_id=session.session_id))
