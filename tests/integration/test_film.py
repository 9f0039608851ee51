"""What is measured on the faces of a film: motion, copies, and one vector of many."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.recognition.canonical import canonical, stretch
from app.recognition.detector import FaceDetector
from app.recognition.frame_sequence import BadFrame
from app.recognition.image import Picture
from app.recognition.motion import motion
from app.recognition.perceptual_hash import (
    BITS,
    difference,
    perceptual_hash,
    photo_hashes,
    usual_hash,
)
from app.recognition.recogniser import Recogniser
from app.usecases.used_probes import MOST_OF_A_COPY
from models.catalogue import FaceModel
from testbed import copies, films
from testbed.films import FRAMES, Camera, Moment, Portrait
from testbed.photos import ASTRONAUT, GRACE_HOPPER, picture
from testbed.runtimes import remembering_runtime

OPEN = [Moment()] * FRAMES


@pytest.fixture(scope="module", params=[ASTRONAUT, GRACE_HOPPER], ids=["astronaut", "admiral"])
def portrait(request: pytest.FixtureRequest, detector: FaceDetector) -> Portrait:
    return films.portrait(picture(request.param), detector)


@pytest.fixture(scope="module")
def recogniser(dlib_model: FaceModel) -> Recogniser:
    """One whose networks run once on the same frames."""
    return Recogniser(remembering_runtime("cpu"), dlib_model)


def moved(recogniser: Recogniser, portrait: Portrait, moments: list[Moment]) -> float:
    frames = films.filmed(portrait, moments, np.random.default_rng(1), Camera())
    film = recogniser.for_frames(frames[0], frames)
    return motion(np.stack([seen.grey for seen in film.usable]))


def test_the_more_a_face_does_the_more_motion(recogniser: Recogniser, portrait: Portrait) -> None:
    still = moved(recogniser, portrait, OPEN)
    half = moved(recogniser, portrait, [*OPEN[:12], Moment(lids=0.5), *OPEN[:2]])
    blink = moved(recogniser, portrait, [*OPEN[:12], Moment(lids=1), *OPEN[:2]])
    assert still < 0.002 < half < blink


def test_a_word_is_motion(recogniser: Recogniser, portrait: Portrait) -> None:
    word = [Moment(lips=0.15 * np.sin(np.pi * t / 5)) for t in range(5)]
    assert moved(recogniser, portrait, [*OPEN[:10], *word]) > 0.01


def hashes_of(recogniser: Recogniser, photo: Picture, quality: int = 50) -> tuple[bytes, ...]:
    film = recogniser.for_frames(films.jpeg(np.ascontiguousarray(photo), quality), [])
    hashes = photo_hashes(film.probe.aligned)
    assert hashes[0] == perceptual_hash(canonical(film.probe.aligned))
    assert {len(each) * 8 for each in hashes} == {BITS}
    return hashes


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "re-encoded": lambda photo: photo,
    "mirrored": lambda photo: photo[:, ::-1],
    "half as large": lambda photo: photo[::2, ::2],
    "darker": lambda photo: (photo * 0.7).astype(np.uint8),
    **copies.STRETCHES,
    **copies.TONES,
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_copy_has_about_the_same_hash(
    recogniser: Recogniser, portrait: Portrait, change: str
) -> None:
    original = hashes_of(recogniser, portrait.picture, 95)
    copy = hashes_of(recogniser, CHANGES[change](portrait.picture))
    assert difference(copy, [b"\0" * 64, *original]) <= MOST_OF_A_COPY


def test_another_photo_has_another_hash(recogniser: Recogniser) -> None:
    photos = (hashes_of(recogniser, picture(photo)) for photo in (ASTRONAUT, GRACE_HOPPER))
    (one, *more), (other, *others) = photos
    assert difference([one, *more], [other, *others]) > 100
    assert difference([one, other], [one]) == 0
    assert difference([one], []) == difference([], [one]) == BITS
    assert difference([one], [one[:32]]) == BITS  # as an earlier release made them


def test_a_film_has_about_the_hash_of_most_of_its_frames(
    recogniser: Recogniser, portrait: Portrait
) -> None:
    frames = films.bona_fide(portrait, np.random.default_rng(3))
    film = recogniser.for_frames(frames[0], frames)
    hashes = [perceptual_hash(canonical(seen.aligned)) for seen in film.usable]
    apart = [difference([each], [usual_hash(hashes)]) for each in hashes]
    assert max(apart) <= MOST_OF_A_COPY
    assert usual_hash([hashes[0]]) == hashes[0]


@pytest.mark.parametrize("shape", [(0.75, 1), (1, 0.8), (0.9, 0.8)])
def test_stretch_measures_how_much_a_picture_was_stretched(
    recogniser: Recogniser, portrait: Portrait, shape: tuple[float, float]
) -> None:
    wide, high = shape
    stretched = cv2.resize(portrait.picture, None, fx=wide, fy=high, interpolation=cv2.INTER_AREA)
    views = []
    for photo in (portrait.picture, np.asarray(stretched)):
        seen = recogniser.for_frames(films.jpeg(photo, 90), []).probe
        views.append(seen.to_picture[:, :2] @ canonical(seen.aligned).view[:, :2])
    assert stretch(*views) == pytest.approx(max(wide / high, high / wide), rel=0.06)
    assert stretch(views[0], views[0]) == pytest.approx(1)


def test_a_broken_frame_is_told_by_its_number(recogniser: Recogniser) -> None:
    photo = GRACE_HOPPER.read_bytes()
    for broken in (b"", photo[: len(photo) // 2]):
        with pytest.raises(BadFrame) as caught:
            recogniser.for_frames(photo, [photo, broken])
        assert caught.value.number == 1
