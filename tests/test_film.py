"""What is measured on the faces of a film: motion, copies, and one vector of many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.recognition.detector import FaceDetector
from app.recognition.film import BadFrame, Film, Seen, fused
from app.recognition.motion import motion
from app.recognition.perceptual_hash import BITS, difference, perceptual_hash
from app.recognition.recogniser import Recogniser
from tests import films
from tests.films import FRAMES, Camera, Moment, Portrait
from tests.photos import ASTRONAUT, GRACE_HOPPER, picture

OPEN = [Moment()] * FRAMES


@pytest.fixture(scope="module", params=[ASTRONAUT, GRACE_HOPPER], ids=["astronaut", "admiral"])
def portrait(request: pytest.FixtureRequest, detector: FaceDetector) -> Portrait:
    return films.portrait(picture(request.param), detector)


def moved(recogniser: Recogniser, portrait: Portrait, moments: list[Moment]) -> float:
    frames = films.filmed(portrait, moments, np.random.default_rng(1), Camera())
    film = recogniser.for_film(frames[0], frames)
    return motion(np.stack([seen.face for seen in film.usable]))


def test_the_more_a_face_does_the_more_motion(recogniser: Recogniser, portrait: Portrait) -> None:
    still = moved(recogniser, portrait, OPEN)
    half = moved(recogniser, portrait, [*OPEN[:12], Moment(lids=0.5), *OPEN[:2]])
    blink = moved(recogniser, portrait, [*OPEN[:12], Moment(lids=1), *OPEN[:2]])
    assert still < 0.002 < half < blink


def test_a_word_is_motion(recogniser: Recogniser, portrait: Portrait) -> None:
    word = [Moment(lips=0.15 * np.sin(np.pi * t / 5)) for t in range(5)]
    assert moved(recogniser, portrait, [*OPEN[:10], *word]) > 0.01


def face_of(recogniser: Recogniser, data: bytes) -> NDArray[np.uint8]:
    return recogniser.for_film(data, []).probe.face


def test_a_copy_has_about_the_same_hash(recogniser: Recogniser) -> None:
    photo = picture(ASTRONAUT)
    original = perceptual_hash(face_of(recogniser, films.jpeg(photo, 95)))
    assert len(original) * 8 == BITS
    for copy in (photo, photo[:, ::-1], photo[::2, ::2], (photo * 0.7).astype(np.uint8)):
        face = face_of(recogniser, films.jpeg(np.ascontiguousarray(copy), 50))
        assert difference(face, [b"\0" * 32, original]) < 30
    other = face_of(recogniser, GRACE_HOPPER.read_bytes())
    assert difference(other, [original]) > 50
    assert difference(other, []) == BITS


def seen(vector: NDArray[np.float64], quality: float = 1) -> Seen:
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Seen(unit, quality, True, np.zeros((96, 96), np.uint8))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_who_is_not_surely_the_probes_person_has_no_say(seed: int, near: float) -> None:
    rng = np.random.default_rng(seed)
    probe = seen(rng.normal(size=16))
    frames = [seen(probe.vector + rng.normal(size=16) * spread) for spread in (0.01, 0.1, 1, 9)]
    vector = fused(Film(probe, [*frames, None]), near)
    same = [f for f in frames if np.linalg.norm(f.vector - probe.vector) < near]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.allclose(vector, fused(Film(probe, same), near))
    assert np.linalg.norm(vector - probe.vector) < near  # however many frames, and whatever quality


def test_a_broken_frame_is_told_by_its_number(recogniser: Recogniser) -> None:
    photo = GRACE_HOPPER.read_bytes()
    for broken in (b"", photo[: len(photo) // 2]):
        with pytest.raises(BadFrame) as caught:
            recogniser.for_film(photo, [photo, broken])
        assert caught.value.number == 1
