"""Measure what QUALITY refuses, and how often strangers' accepted photos match: docs/quality.md.

`python -m benchmarks.quality` takes one photo of each of several hundred people of LFW, makes all
of them poor in one way, and enrols them. Then it compares everybody with everybody else. Photos of
several people do not count: they are refused in any case.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from csv import DictReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.recognition import NotAnImage, UnusableImage
from app.recognition.detector import FaceDetector
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pyramid import Pyramid
from app.recognition.recogniser import Recogniser
from app.settings import load_settings
from models.catalogue import Catalogue
from models.runtime import choose_runtime
from testbed import flaws
from testbed.photos import FACES, encoded, people, picture

LFW = FACES / "lfw_dev"
ROWS: dict[str, flaws.Flaw] = {
    "as they are": lambda picture, *_: picture,
    "grey noise, σ 10": flaws.grey_noise(10),
    "grey noise, σ 20": flaws.grey_noise(20),
    "grey noise, σ 30": flaws.grey_noise(30),
    "grey noise, σ 40": flaws.grey_noise(40),
    "colour noise, σ 30": flaws.colour_noise(30),
    "mask": flaws.mask,
    "motion blur of 15 pixels": flaws.motion_blur(15),
    "sunglasses": flaws.sunglasses,
    "brightness 0.15": flaws.brightness(0.15),
    "face of 26 pixels": flaws.face_side(26),
    "colour noise, σ 15": flaws.colour_noise(15),
    "noise with coarse grain, σ 20": flaws.coarse_noise(20),
    "salt and pepper, 5 %": flaws.salt_and_pepper(0.05),
    "speckle, 0.3": flaws.speckle(0.3),
    "few photons": flaws.few_photons(12),
    "night, made bright": flaws.night,
    "motion blur of 9 pixels": flaws.motion_blur(9),
    "out of focus, radius 6": flaws.defocus(6),
    "face of 20 pixels, enlarged": flaws.enlarged(20),
    "face of 48 pixels": flaws.face_side(48),
    "JPEG quality 5": flaws.jpeg(5),
    "JPEG quality 10": flaws.jpeg(10),
    "scarf": flaws.scarf,
    "hand over the mouth": flaws.hand,
    "cap to the eyebrows": flaws.cap,
    "backlight": flaws.backlight,
    "contrast 0.15": flaws.contrast(0.15),
    "brightness 3": flaws.brightness(3),
    "light from one side": flaws.side_light,
    "light from above": flaws.top_light,
    "striped mask": flaws.striped_mask,
    "phone before the face": flaws.phone,
    "hair to the eyes": flaws.fringe,
    "1.33 times as wide": flaws.stretched(1.33, 1),
    "1.5 times as wide": flaws.stretched(1.5, 1),
    "1.78 times as wide": flaws.stretched(1.78, 1),
    "1.5 times as high": flaws.stretched(1, 1.5),
    "1.78 times as high": flaws.stretched(1, 1.78),
}


def photos(pairs: str, count: int) -> list[Path]:
    """Return one photo each of so many people of a file of pairs."""
    first: dict[str, Path] = {}
    with (LFW / pairs).open() as file:
        for row in DictReader(file):
            for name in (row["img1"], row["img2"]):
                first.setdefault(name.split("/")[0], LFW / name)
    chosen = list(first.values())
    np.random.default_rng(1).shuffle(chosen)
    return chosen[:count]


class Camera:
    """Takes photos with a flaw, and enrols them."""

    def __init__(self, quality: str) -> None:
        settings = load_settings()
        runtime = choose_runtime(settings.device)
        model = Catalogue(settings.models_dir).get("dlib")
        self.scale = model.distance_scale
        self._detector = FaceDetector(runtime)
        self._recogniser = Recogniser(runtime, model, PictureRequirements(quality=quality))

    def poor(self, photo: Path, flaw: flaws.Flaw) -> bytes:
        pixels = picture(photo)
        face = self._detector.detect(Pyramid(pixels))[0]
        rng = np.random.default_rng(list(photo.name.encode()))
        return encoded(np.ascontiguousarray(flaw(pixels, face, rng)))

    def enrolled(self, data: bytes) -> tuple[NDArray[np.float32] | None, str]:
        """Return the vector, if there is one, and why it was refused."""
        try:
            return self._recogniser.for_enrolment(data).vector, ""
        except (UnusableImage, NotAnImage) as error:
            reason = getattr(error, "code", "not_an_image")
        try:
            return self._recogniser.for_login(data), reason
        except (UnusableImage, NotAnImage):
            return None, reason


def matches(vectors: Sequence[NDArray[np.float32]], distance: float) -> str:
    """Return the share of pairs that are nearer than this, and the count."""
    if len(vectors) < 2:
        return "no pairs"
    rows = np.stack(vectors)
    near = np.sqrt(np.maximum(2 - 2 * rows @ rows.T, 0)) < distance
    count, pairs = int(np.triu(near, 1).sum()), len(rows) * (len(rows) - 1) // 2
    return f"{count / pairs:.2%} ({count:,} of {pairs:,})"


def table(camera: Camera, chosen: Sequence[Path], names: Sequence[str]) -> Iterator[str]:
    yield f"| {len(chosen)} photos | FMR of all | refused | FMR of the others | why refused |"
    yield "|---|---:|---:|---:|---|"
    for name in names:

        def enrolled(photo: Path, name: str = name) -> tuple[NDArray[np.float32] | None, str]:
            return camera.enrolled(camera.poor(photo, ROWS[name]))

        with ThreadPoolExecutor(2) as pool:
            found = [each for each in pool.map(enrolled, chosen) if each[1] != "several_faces"]
        everybody = [vector for vector, _ in found if vector is not None]
        accepted = [vector for vector, reason in found if vector is not None and not reason]
        reasons = Counter(reason for _, reason in found if reason)
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(4))
        limit = 0.8 / camera.scale
        refused = 1 - len(accepted) / len(found)
        cells = (matches(everybody, limit), f"{refused:.1%}", matches(accepted, limit), why)
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", default="pairs_devtest.csv", help="file that names the people")
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--quality", default="standard", choices=("off", "standard", "strict"))
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    options = parser.parse_args()
    camera = Camera(options.quality)
    for line in table(camera, photos(options.pairs, options.people), options.rows):
        print(line, flush=True)
    began, everyone = time.monotonic(), [each for both in people().values() for each in both]
    refused = [photo for photo in everyone if camera.enrolled(photo.read_bytes())[1]]
    seconds = time.monotonic() - began
    print(
        f"people: {len(refused)} of {len(everyone)} refused, {seconds / len(everyone):.3f} s each"
    )


if __name__ == "__main__":
    main()
