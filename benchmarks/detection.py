"""Compare MTCNN here and in facenet-pytorch: how fast they are, and whether they agree."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from app.recognition.detector import FaceDetector
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pyramid import Pyramid
from benchmarks.pictures import FACES, people
from benchmarks.rounds import Effort, interleave
from models.runtime import choose_runtime

Boxes = NDArray[np.float64]
Detect = Callable[[Image.Image], Boxes]

LOGIN = "this service, as in a login"
OURS = "this service, every face"
OURS_20 = "this service, every face from 20 px"
THEIRS = "facenet-pytorch"
THEIRS_30 = "facenet-pytorch, faces from 30 px"


def measure(effort: Effort) -> dict[str, Any]:
    """Measure times on login photos, agreement with facenet-pytorch, and faces found and missed."""
    detectors = _detectors()
    photos = [person.login for person in people()]
    cases = {
        name: lambda number, detect=detect: detect(photos[number % len(photos)])
        for name, detect in detectors.items()
    }
    figures: dict[str, Any] = {
        "times": interleave(cases, effort(4, 36)).summary(),
        "same_faces": _same_faces(detectors, photos),
    }
    if FACES.is_dir():
        compared = {name: detectors[name] for name in (OURS, LOGIN, THEIRS)}
        figures["groups"] = _groups(compared)
        figures["portraits"] = _portraits(compared, effort(25, 300))
    return figures


def _detectors() -> dict[str, Detect]:
    runtime = choose_runtime("cpu")
    usual = FaceDetector(runtime)
    small = FaceDetector(runtime, smallest_face=20, smallest_share=0)

    def own(detector: FaceDetector, rivals: float) -> Detect:
        def detect(image: Image.Image) -> Boxes:
            faces = detector.detect(Pyramid(np.asarray(image)), rivals)
            return np.array([face.box for face in faces]).reshape(-1, 4)

        return detect

    def theirs(**options: int) -> Detect:
        cascade = MTCNN(keep_all=True, **options)

        def detect(image: Image.Image) -> Boxes:
            try:
                boxes, _ = cascade.detect(image)
            except RuntimeError:  # it fails on an empty list if a stage finds nothing
                boxes = None
            return np.array([] if boxes is None else boxes, np.float64).reshape(-1, 4)

        return detect

    return {
        LOGIN: own(usual, PictureRequirements().rival),
        OURS: own(usual, 0),
        OURS_20: own(small, 0),
        THEIRS: theirs(),
        THEIRS_30: theirs(min_face_size=30),
    }


def _same_faces(detectors: dict[str, Detect], photos: list[Image.Image]) -> dict[str, Any]:
    """Count, for each of our detectors, which of facenet-pytorch's faces it finds (IoU > 0.5)."""
    counts = {
        name: {"photos": 0, "largest": 0, "faces": 0, "found": 0, "others": 0}
        for name in (LOGIN, OURS, OURS_20)
    }
    for photo in photos:
        theirs = detectors[THEIRS](photo)
        for name, count in counts.items():
            ours = detectors[name](photo)
            same = overlaps(theirs, ours) > 0.5
            count["photos"] += 1
            count["largest"] += bool(same.size and same[0, 0])
            count["faces"] += len(theirs)
            count["found"] += int(same.any(axis=1).sum())
            count["others"] += len(ours) - int(same.any(axis=0).sum())
    return counts


def _groups(detectors: dict[str, Detect]) -> list[dict[str, Any]]:
    """Count the faces found in photos with a known number of faces."""
    rows = []
    for photo in sorted((FACES / "groups").glob("*_*.jpg")):
        if known := re.search(r"_(\d+)$", photo.stem):
            image = Image.open(photo).convert("RGB")
            found = {name: len(detect(image)) for name, detect in detectors.items()}
            rows.append({"photo": photo.name, "faces": int(known[1]), "found": found})
    return rows


def _portraits(detectors: dict[str, Detect], count: int) -> dict[str, Any]:
    """Count the photos whose face is found in the right place: whole, and cropped ever closer.

    The right place is where facenet-pytorch finds the largest face in the whole photo (IoU > 0.5).
    """
    files = sorted((FACES / "lfw_dev").glob("*/*.jpg"))
    reference = MTCNN(keep_all=True)
    found: dict[str, dict[str, int]] = {}
    photos = 0
    for file in files[:: len(files) // count][:count]:
        photo = Image.open(file).convert("RGB")
        boxes, _, landmarks = reference.detect(photo, landmarks=True)
        if boxes is None:
            continue
        photos += 1
        corners = landmarks[0].min(axis=0), landmarks[0].max(axis=0)
        margin = 0.4 * (corners[1] - corners[0])
        cuts = {
            "whole photos": (0, 0, *photo.size),
            "cut to the face's box": tuple(boxes[0]),
            "cut to the landmarks and 40 % more on each side": (
                *(corners[0] - margin),
                *(corners[1] + margin),
            ),
        }
        for kind, cut in cuts.items():
            left, top = (max(0, int(edge)) for edge in cut[:2])
            closer = photo.crop((left, top, *np.minimum(cut[2:], photo.size).astype(int)))
            place = boxes[:1] - (left, top, left, top)
            counts = found.setdefault(kind, dict.fromkeys(detectors, 0))
            for name, detect in detectors.items():
                counts[name] += bool((overlaps(place, detect(closer)[:1]) > 0.5).any())
    return {"photos": photos, "found": found}


def overlaps(first: Boxes, second: Boxes) -> Boxes:
    """Return the intersection over union, (n, m), of boxes (n, 4) and (m, 4)."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    size = np.maximum(np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner, 0)
    shared = size.prod(axis=2)
    area_1, area_2 = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second))
    ratio: Boxes = shared / (area_1[:, None] + area_2[None] - shared)
    return ratio
