"""Logins of living people, and the attacks that `benchmarks.pad` tries on fraud detection."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from app.recognition.image import Picture
from testbed import copies, films
from testbed.films import Portrait


class Person(NamedTuple):
    """enrolled: the photo of the enrolment. now: another photo, from which frames are made.

    later: a third photo, if there is one.
    """

    name: str
    enrolled: Portrait
    now: Portrait
    later: Portrait | None


class Login(NamedTuple):
    """The pictures sent: a probe and frames."""

    probe: bytes
    frames: list[bytes]


def alive(person: Portrait, rng: np.random.Generator) -> Login:
    """Return a login of a living face. The probe is one more frame."""
    probe, *frames = films.filmed(person, [films.Moment(), *films.alive(rng)], rng, films.Camera())
    return Login(probe, frames)


def attacks(
    person: Person, other: Person, rng: np.random.Generator
) -> Iterator[tuple[str, Callable[[], Login]]]:
    """Yield every attack on `person` that `other` may try."""
    photo = person.now.picture
    frames = alive(person.now, rng).frames  # perfect, so that only the probe can give it away
    for name, attack in films.STILLS.items():

        def still(attack: films.Attack = attack) -> Login:
            stills = attack(photo, rng)
            return Login(stills[0], stills)

        yield f"one still, {name}", still
    yield "frames of another person", lambda: Login(films.jpeg(photo), alive(other.now, rng).frames)

    def mixed() -> Login:
        probe, own = alive(person.now, rng)
        return Login(probe, alive(other.now, rng).frames[:8] + own[8:])

    yield "8 of 15 frames of another person", mixed
    yield (
        "two faces: one's own next to a photo",
        lambda: Login(films.jpeg(photo), films.beside(person.now, other.now, rng)),
    )
    for name, copy in COPIES.items():

        def enrolled(copy: Callable[[Picture], Picture] = copy) -> Login:
            return Login(films.jpeg(copy(person.enrolled.picture), 85), frames)

        yield f"the enrolment photo, {name}", enrolled


def replays(login: Login, later: Portrait | None) -> Iterator[tuple[str, Callable[[], Login]]]:
    """Yield every attack with pictures from an earlier login."""
    photo, frames = login
    yield "a replay, as it was", lambda: login
    yield "a replay, backwards", lambda: Login(photo, frames[::-1])
    yield (
        "a replay, the photo and a frame exchanged",
        lambda: Login(frames[7], [*frames[:7], photo, *frames[8:]]),
    )
    if later is not None:
        yield (
            "a replay of the frames, the photo new",
            lambda: Login(films.jpeg(later.picture), frames),
        )
    for name, change in CHANGES.items():

        def everything(change: copies.Change = change) -> Login:
            new, *moving = (copies.changed(each, change) for each in (photo, *frames))
            return Login(new, moving)

        def only_the_photo(change: copies.Change = change) -> Login:
            return Login(copies.changed(photo, change), frames)

        yield f"a replay {name}", everything
        yield f"a replay, its photo {name}", only_the_photo


CHANGES: dict[str, copies.Change] = copies.STRETCHES | copies.TONES
COPIES: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda photo: photo,
    "mirrored": lambda photo: np.ascontiguousarray(photo[:, ::-1]),
    "re-encoded": lambda photo: cv2.imdecode(
        np.frombuffer(films.jpeg(photo, 40), np.uint8), cv2.IMREAD_COLOR_RGB
    ),
    "resized": lambda photo: np.asarray(
        cv2.resize(photo, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    ),
    **CHANGES,
}
