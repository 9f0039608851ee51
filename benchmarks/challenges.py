"""Measure the challenges of liveness sessions: who passes them, and who should not.

`python -m benchmarks.challenges` makes films of photos, as testbed/challenge_films.py says, judges
each by every challenge, and writes the table of docs/liveness-sessions.md. The limits were chosen
on the first LOOKED_AT people, who are left out.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.evaluation.rates import Rate
from app.recognition import UnusableImage
from app.recognition.challenge import CHALLENGES, Move, fault, pose
from app.recognition.detector import FaceDetector
from app.recognition.recogniser import Recogniser
from app.settings import load_settings
from app.usecases.fraud_detection import MOST_STRETCH, traces
from app.usecases.probes import SURELY_SAME
from benchmarks import sections
from models.catalogue import Catalogue
from models.runtime import choose_runtime
from testbed import challenge_films, films
from testbed.films import Camera, Portrait
from testbed.photos import FACES, picture

LFW = FACES / "lfw_dev"
LOOKED_AT = 28  # of the people of LFW, in random order
MOST_PHOTOS = 8  # of one person, from which an attacker chooses
FEWEST_PHOTOS = 5
SEED = 5

NOTHING, WANDERING = "no challenge: blinks and talks", "looks around at will"
STILLS = tuple(films.STILLS)
STILL = "one still"
PRINT, SLIDES = "print: ", "slides: "  # before the challenge that the attack is made for

Film = tuple[bytes, list[bytes]]


class Judged(NamedTuple):
    """What a film shows, the challenges that it passes, and the stretch of `Traces`."""

    what: str
    passes: set[str]
    stretch: float


class Judge:
    """Judges films as a login does."""

    def __init__(self, recogniser: Recogniser, alpha: float) -> None:
        self._recogniser = recogniser
        near = alpha / recogniser.model.distance_scale
        self._near = near, SURELY_SAME * near

    def __call__(self, what: str, film: Film) -> Judged:
        """Return what is made of a film; a probe without a usable face passes nothing."""
        try:
            sequence = self._recogniser.for_frames(*film)
        except UnusableImage:
            return Judged(what, set(), 1)
        passes = {name for name in CHALLENGES if fault(sequence, name, *self._near) is None}
        return Judged(what, passes, traces(sequence).stretch if passes else 1)


def films_of(person: Portrait, rng: np.random.Generator) -> Iterator[tuple[str, Film]]:
    """Yield films of a person and of a still of them, each with what it shows."""
    for name in CHALLENGES:
        moments = challenge_films.performing(name, rng)
        yield name, challenge_films.login(person, moments, rng, Camera())
    for what, moments in (
        (NOTHING, films.alive(rng)),
        (WANDERING, challenge_films.wandering(rng)),
    ):
        yield what, challenge_films.login(person, moments, rng, Camera())
    still = films.jpeg(person.picture)
    what, name = rng.choice(STILLS), rng.choice(list(CHALLENGES))
    yield STILL, (still, films.STILLS[what](person.picture, rng))
    moments = challenge_films.performing(name, rng)
    yield f"{PRINT}{name}", (still, challenge_films.print_in_hand(person, moments, rng))


def slides(photos: Sequence[Portrait], name: str, rng: np.random.Generator) -> Film:
    """Return the three photos that suit a challenge best, in turn; the first one is the probe."""
    poses = [pose(photo.landmarks) for photo in photos]
    one, other = CHALLENGES[name]

    def suits(neutral: int, first: int, second: int) -> float:
        side = np.sign(poses[first][0] - poses[neutral][0])
        towards = ((one, first), (other, second))
        return min(_turned(poses[at] - poses[neutral], move, side) for move, at in towards)

    numbers = range(len(photos))
    triples = ((a, b, c) for a in numbers for b in numbers for c in numbers if len({a, b, c}) == 3)
    best = max(triples, key=lambda triple: suits(*triple))
    chosen = [photos[number] for number in best]
    return films.jpeg(chosen[0].picture), challenge_films.in_turn(chosen, rng, Camera())


def _turned(by: films.Points, move: Move, side: float) -> float:
    """Return how far a pose has moved as it should, less how far it has moved otherwise."""
    match move:
        case Move.UP:
            return float(-by[1] - abs(by[0]))
        case Move.DOWN:
            return float(by[1] - abs(by[0]))
        case Move.SIDE:
            return float(abs(by[0]) - abs(by[1]))
        case Move.OTHER_SIDE:
            return float(-by[0] * side - abs(by[1]))


def portraits(photos: Sequence[Path], detector: FaceDetector) -> list[Portrait]:
    """Return the photos that show a face."""
    found = []
    for photo in photos:
        try:
            found.append(films.portrait(picture(photo), detector))
        except IndexError:  # no face in it
            continue
    return found


def measure(judge: Judge, detector: FaceDetector, most: int, seconds: float) -> list[Judged]:
    """Return what becomes of the films of so many people."""
    folders = sorted(folder for folder in LFW.iterdir() if folder.is_dir())
    np.random.default_rng(SEED).shuffle(folders)
    everybody = [sorted(folder.glob("*.jpg")) for folder in folders[LOOKED_AT:]]
    often = [photos for photos in everybody if len(photos) >= FEWEST_PHOTOS]
    began, judged = time.monotonic(), list[Judged]()
    for number, photos in enumerate(everybody[:most]):
        if time.monotonic() - began > seconds:
            print(f"stopped after {number} people, {seconds:g} s", file=sys.stderr)
            break
        rng = np.random.default_rng([SEED, number])
        for person in portraits(photos[:1], detector):
            judged += [judge(what, film) for what, film in films_of(person, rng)]
        name = list(CHALLENGES)[number % len(CHALLENGES)]
        shown = portraits(often[number % len(often)][:MOST_PHOTOS], detector)
        if len(shown) >= FEWEST_PHOTOS:
            judged.append(judge(f"{SLIDES}{name}", slides(shown, name, rng)))
    return judged


def table(judged: Sequence[Judged]) -> str:
    """Return how often each challenge passes: performed, another one performed, and neither."""
    performed = [each for each in judged if each.what in CHALLENGES]
    lines = ["| challenge | passes when performed | passes when another was performed |"]
    lines += ["|---|---:|---:|"]
    for name in CHALLENGES:
        own = [each for each in performed if each.what == name]
        others = [each for each in performed if each.what != name]
        lines.append(f"| `{name}` | {_share(own, {name})} | {_share(others, {name})} |")
    right = [each for each in performed if each.what in each.passes]
    stretched = Rate(sum(each.stretch > MOST_STRETCH for each in right), len(right))
    lines += ["", f"All together: {Rate(len(right), len(performed))} pass when performed."]
    lines += [f"Of these, fraud detection finds stretched {stretched}.", ""]
    lines += ["| what the film shows | passes a challenge drawn at random |", "|---|---:|"]
    for what in (NOTHING, WANDERING, STILL):
        shown = [each for each in judged if each.what == what]
        lines.append(f"| {what} | {_share(shown, set(CHALLENGES))} |")
    lines += ["", "| attack made for the challenge | passes it |", "|---|---:|"]
    for start, what in (
        (PRINT, "a print of a photo, moved and turned as the head should be"),
        (SLIDES, "the three photos of the victim that suit best, one after another"),
    ):
        shown = [each for each in judged if each.what.startswith(start)]
        passing = Rate(
            sum(each.what.removeprefix(start) in each.passes for each in shown), len(shown)
        )
        lines.append(f"| {what} | {passing} |")
    return "\n".join(lines)


def _share(shown: Sequence[Judged], challenges: set[str]) -> str:
    """Return how many of these challenges the films pass, of all that were tried."""
    rate = Rate(sum(len(each.passes & challenges) for each in shown), len(shown) * len(challenges))
    return f"{rate.value:.1%} ({rate.count} of {rate.of:,})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1800, help="stop after so long")
    parser.add_argument("--out", type=Path, default=Path("docs/liveness-sessions.md"))
    options = parser.parse_args()
    if not LFW.is_dir():
        sys.exit(f"The photos are not there: {LFW}")
    settings = load_settings()
    runtime = choose_runtime(settings.device)
    recogniser = Recogniser(runtime, Catalogue(settings.models_dir).get("dlib"))
    judge = Judge(recogniser, settings.login_match_threshold)
    judged = measure(judge, FaceDetector(runtime), options.people, options.seconds)
    measured = table(judged)
    print(measured)
    if options.out.exists():
        sections.write(options.out, "measured", measured.split("\n"))


if __name__ == "__main__":
    main()
