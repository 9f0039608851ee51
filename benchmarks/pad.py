"""Measure fraud detection: how many attacks get through, and how many living people do not.

`python -m benchmarks.pad` makes films of photos, as testbed/films.py says, sends each through the
service's own recogniser and checks, and writes docs/fraud.json and the table of docs/fraud.md.
The thresholds were chosen on the first LOOKED_AT people, who are left out.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.evaluation.rates import Rate
from app.recognition import UnusableImage
from app.recognition.detector import FaceDetector
from app.recognition.frame_sequence import FrameSequence, ObservedFace
from app.recognition.motion import motion
from app.recognition.perceptual_hash import difference, photo_hashes
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pyramid import Pyramid
from app.recognition.recogniser import Recogniser
from app.settings import load_settings
from app.storage import UsedProbe
from app.usecases.fraud_detection import (
    LEAST_MOTION,
    MOST_SPOILT,
    MOST_STRETCH,
    FraudSuspected,
    check_frames,
    check_shape,
    traces,
)
from app.usecases.probes import SURELY_SAME
from app.usecases.used_probes import MOST_OF_A_COPY, check_not_enrolled, check_unused, hashes_of
from benchmarks import sections
from benchmarks.pad_attacks import Login, Person, alive, attacks, replays
from models.catalogue import Catalogue
from models.network import Runtime
from models.runtime import choose_runtime
from testbed import films
from testbed.films import Portrait
from testbed.photos import people, picture

LOOKED_AT = 1_000  # of the 1,184 people with two photos, in random order
EACH = 6  # each attack is tried on every sixth person
SEED = 7
RIVAL = PictureRequirements().rival
LENIENT = 0.5  # score of what may be a face in a sharper picture


def sources(runtime: Runtime, most: int) -> list[Person]:
    """Return people with two photos: those of `people`, then those of LFW in a fixed random order.

    Photos with a second large face are left out, even if it is half hidden or cut off: it would
    show in some frames, and be refused rightly.
    """
    bystanders = FaceDetector(runtime, least_score=LENIENT)
    detector = FaceDetector(runtime)
    rng = np.random.default_rng(SEED)
    folders = [photos for photos in people().values() if len(photos) > 1]
    lfw = [sorted(folder.glob("*.jpg")) for folder in sorted(LFW.iterdir()) if folder.is_dir()]
    several = [photos for photos in lfw if len(photos) > 1]
    rng.shuffle(several)
    found = []
    for photos in (folders + several)[LOOKED_AT:]:
        try:
            own = [films.portrait(picture(photo), detector) for photo in photos[:3]]
        except IndexError:  # no face in one of them
            continue
        if any(_crowded(portrait, bystanders) for portrait in own):
            continue
        found.append(Person(photos[0].parent.name, *(*own, None)[:3]))
        if len(found) == most:
            break
    return found


def _crowded(portrait: Portrait, detector: FaceDetector) -> bool:
    faces = detector.detect(Pyramid(portrait.picture), rivals=RIVAL)
    return len(faces) > 1 and faces[1].side > RIVAL * faces[0].side


LFW = Path("../shared/faces/lfw_dev")


class Judge:
    """Decides as a login with fraud detection does."""

    def __init__(self, recogniser: Recogniser, alpha: float) -> None:
        self._recogniser = recogniser
        self._same = alpha / recogniser.model.distance_scale
        self._surely = SURELY_SAME * self._same

    def enrolled(self, portrait: Portrait) -> Sequence[bytes]:
        """Return the hashes that an enrolment keeps."""
        sequence = self._recogniser.for_frames(films.jpeg(portrait.picture, 95), [])
        return photo_hashes(sequence.probe.aligned)

    def __call__(
        self, login: Login, enrolled: Sequence[bytes], used: list[UsedProbe]
    ) -> dict[str, Any]:
        """Return the outcome of a login. If it got in, add its pictures to `used`."""
        try:
            sequence = self._recogniser.for_frames(*login)
        except UnusableImage as error:
            return {"refused": str(error)}
        seen = traces(sequence)
        figures: dict[str, Any] = {
            "motion": _motion(sequence, self._surely),
            "farthest": max(
                (_distance(sequence.probe, frame) for frame in sequence.usable), default=None
            ),
            "stretch": round(seen.stretch, 3),
            "copy": difference(seen.all, enrolled),
            "used": difference(seen.all, hashes_of(used)),
            "refused": None,
        }
        try:
            check_frames(sequence, self._same, self._surely)
            check_shape(seen)
            check_not_enrolled(seen, enrolled)
            check_unused(seen, used, 0, 1)
        except FraudSuspected as suspicion:
            figures["refused"] = str(suspicion)
        else:
            used.append(UsedProbe(seen.kept, 1))
        return figures


def _motion(sequence: FrameSequence, near: float) -> float | None:
    faces = [
        frame.grey
        for frame in sequence.usable
        if frame.alone and _distance(frame, sequence.probe) < near
    ]
    return round(motion(np.stack(faces)), 5) if faces else None


def _distance(one: ObservedFace, other: ObservedFace) -> float:
    return round(float(np.linalg.norm(one.vector - other.vector)), 4)


def measure(judge: Judge, persons: list[Person], seconds: float) -> list[dict[str, Any]]:
    """Return the outcome of each login, attack or bona fide."""
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    for number, person in enumerate(persons):
        if time.monotonic() - began > seconds:
            print(f"stopped after {number} people, {seconds:g} s", file=sys.stderr)
            break
        rng = np.random.default_rng([SEED, number])
        other = persons[(number + 1) % len(persons)]
        enrolled, used = judge.enrolled(person.enrolled), list[UsedProbe]()
        row = {"person": person.name}
        login = alive(person.now, rng)
        rows.append(row | {"what": BONA_FIDE} | judge(login, enrolled, used))
        if used and person.later is not None:
            again = alive(person.later, rng)
            rows.append(row | {"what": COME_BACK} | judge(again, enrolled, used[:]))
        tries = list(attacks(person, other, rng))
        # A login that was refused is not worth replaying.
        tries += replays(login, person.later) if used else []
        for index, (name, attack) in enumerate(tries):
            if (number + index) % EACH == 0:
                before = used[:] if name.startswith("a replay") else []
                rows.append(row | {"what": name} | judge(attack(), enrolled, before))
    return rows


BONA_FIDE, COME_BACK = "bona fide", "bona fide, coming back"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the APCER of each attack, and the BPCER (ISO/IEC 30107-3)."""
    names = list(dict.fromkeys(row["what"] for row in rows))
    tried = [row for row in rows if row["what"] not in (BONA_FIDE, COME_BACK)]
    got_in = Rate(sum(row["refused"] is None for row in tried), len(tried))
    lines = [f"All attacks together: {got_in}.", ""]
    lines += ["| attack | APCER | let in |", "|---|---:|---:|"]
    for name in sorted(names, key=lambda name: (name == BONA_FIDE, name == COME_BACK, name)):
        these = [row for row in rows if row["what"] == name]
        let_in = Rate(sum(row["refused"] is None for row in these), len(these))
        if name in (BONA_FIDE, COME_BACK):
            refused = Rate(let_in.of - let_in.count, let_in.of)
            whys = Counter(row["refused"] for row in these if row["refused"])
            again = " who come back with another photo and new frames" * (name == COME_BACK)
            lines += ["", f"BPCER, living people{again}: {refused}."]
            if whys:
                reasons = "; ".join(f"{count} × {why}" for why, count in whys.most_common())
                lines += ["", f"Refused: {reasons}."]
        else:
            lines.append(f"| {name} | {let_in.value:.1%} | {let_in.count} of {let_in.of} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1200, help="stop after so long")
    parser.add_argument("--out", type=Path, default=Path("docs/fraud"), help="without suffix")
    options = parser.parse_args()
    if not LFW.is_dir():
        sys.exit(f"The photos are not there: {LFW}")
    settings = load_settings()
    runtime = choose_runtime(settings.device)
    recogniser = Recogniser(runtime, Catalogue(settings.models_dir).get("dlib"))
    persons = sources(runtime, options.people)
    rows = measure(Judge(recogniser, settings.login_match_threshold), persons, options.seconds)
    thresholds = {
        "motion": LEAST_MOTION,
        "surely_same": SURELY_SAME,
        "spoilt": MOST_SPOILT,
        "copy": MOST_OF_A_COPY,
        "stretch": MOST_STRETCH,
    }
    options.out.with_suffix(".json").write_text(
        json.dumps({"thresholds": thresholds, "logins": rows}, indent=0) + "\n"
    )
    page = options.out.with_suffix(".md")
    measured = table(rows)
    print(measured)
    if page.exists():
        sections.write(page, "measured", measured.split("\n"))


if __name__ == "__main__":
    main()
