"""Measure what a login gains from the faces in its frames: FNMR with and without, at fixed FMR.

`python -m benchmarks.fusion` compares people of LFW with their enrolment, once by the probe alone
and once by the probe fused with frames, as in a login. The frames are made from the probe's photo,
or are other photos of the same person.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.evaluation import rates
from app.recognition import UnusableImage
from app.recognition.detector import FaceDetector
from app.recognition.frame_sequence import FrameSequence, fused
from app.recognition.recogniser import Recogniser
from app.settings import load_settings
from app.usecases.probes import SURELY_SAME
from models.catalogue import Catalogue
from models.runtime import choose_runtime
from testbed import films
from testbed.films import Camera, Moment
from testbed.photos import picture

LFW = Path("../shared/faces/lfw_dev")
FMRS = (0.01, 0.001)
POOR = Camera(shake=0.04, exposure=0.05, noise=9, quality=60)

Vector = NDArray[np.float32]


def compared(enrolled: Sequence[Vector], probes: Sequence[Vector]) -> list[rates.Rate]:
    """Return the FNMR at each of FMRS; the probes of other people set the thresholds."""
    distances = np.linalg.norm(np.stack(enrolled)[:, None] - np.stack(probes), axis=2)
    mated = np.eye(len(distances), dtype=bool)
    return [
        rates.missed(distances[mated], rates.threshold_at(distances[~mated], fmr)) for fmr in FMRS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=250)
    options = parser.parse_args()
    settings = load_settings()
    runtime = choose_runtime(settings.device)
    model = Catalogue(settings.models_dir).get("dlib")
    recogniser, detector = Recogniser(runtime, model), FaceDetector(runtime)
    near = SURELY_SAME * settings.login_match_threshold / model.distance_scale
    folders = [sorted(folder.glob("*.jpg")) for folder in sorted(LFW.iterdir()) if folder.is_dir()]
    several = [photos for photos in folders if len(photos) > 1]
    np.random.default_rng(3).shuffle(several)

    print("| frames | people | FMR | FNMR, probe alone | FNMR, fused |\n|---|---:|---:|---:|---:|")
    kinds = {"a film, poor camera": POOR, "a film": Camera(), "other photos of the person": None}
    for kind, camera in kinds.items():
        enrolled, alone, together = [], [], []
        for number, photos in enumerate(several):
            if camera is None and len(photos) < 4:
                continue
            try:
                if camera is None:
                    probe, *frames = [photo.read_bytes() for photo in photos[1:16]]
                else:
                    rng = np.random.default_rng([3, number])
                    source = films.portrait(picture(photos[1]), detector)
                    moments = [Moment(), *films.alive(rng)]
                    probe, *frames = films.filmed(source, moments, rng, camera)
                first = recogniser.for_login(photos[0].read_bytes())
                sequence: FrameSequence = recogniser.for_frames(probe, frames)
            except (UnusableImage, IndexError):
                continue
            enrolled.append(first)
            alone.append(sequence.probe.vector)
            together.append(fused(sequence, near))
            if len(enrolled) == options.people:
                break
        before, after = compared(enrolled, alone), compared(enrolled, together)
        for fmr, one, other in zip(FMRS, before, after, strict=True):
            row = f"{fmr:.1%} | {one.value:.1%} | {other.value:.1%}"
            print(f"| {kind} | {len(enrolled)} | {row} |", flush=True)


if __name__ == "__main__":
    main()
