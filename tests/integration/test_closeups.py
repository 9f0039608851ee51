"""Close-ups log people in: what reaches beyond the picture is plain, not stretched."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from app.recognition import NoFace
from app.recognition.detector import DetectedFace, FaceDetector
from app.recognition.image import Picture
from app.recognition.pyramid import Pyramid
from app.recognition.recogniser import Recogniser
from models.catalogue import FaceModel
from models.network import Runtime
from testbed.photos import encoded, people, picture
from tests.support.chips import aligned, cut_closely, largest_face

pytestmark = pytest.mark.faces

THRESHOLD = 0.8
MARGIN = 0.4

Find = Callable[[Picture], DetectedFace | None]


@dataclass
class Tally:
    """What became of the probes, by number."""

    found: int = 0
    inside: int = 0
    right: int = 0
    wrong: int = 0


@dataclass
class Gallery:
    """The first photo of everybody; tells who a feature vector is nearest to."""

    names: list[str]
    vectors: NDArray[np.float32]
    scale: float

    def identify(self, vector: NDArray[np.float32]) -> str | None:
        distances = np.linalg.norm(self.vectors - vector, axis=1) * self.scale
        nearest = int(distances.argmin())
        return self.names[nearest] if distances[nearest] < THRESHOLD else None


@pytest.fixture(scope="module")
def gallery(recogniser: Recogniser) -> Gallery:
    first = {name: photos[0] for name, photos in people().items()}
    vectors = [recogniser.for_enrolment(photo.read_bytes()).vector for photo in first.values()]
    return Gallery(list(first), np.stack(vectors), recogniser.model.distance_scale)


@pytest.fixture(scope="module")
def cropped(detector: FaceDetector) -> dict[float, list[tuple[str, Picture]]]:
    """Every probe, cropped to the box of its landmarks, with the person's name, by margin."""
    crops: dict[float, list[tuple[str, Picture]]] = {margin: [] for margin in (MARGIN, 0.2, 0.1)}
    for name, (_, *photos) in people().items():
        for photo in photos:
            pixels = picture(photo)
            landmarks = largest_face(detector, pixels).landmarks
            for margin, close_ups in crops.items():
                close_ups.append((name, cut_closely(pixels, landmarks, margin)))
    assert {len(close_ups) for close_ups in crops.values()} == {58}
    return crops


@pytest.fixture(scope="module")
def close_ups(cropped: dict[float, list[tuple[str, Picture]]]) -> list[tuple[str, Picture]]:
    return cropped[MARGIN]


@pytest.fixture(scope="module")
def tally(
    close_ups: list[tuple[str, Picture]],
    gallery: Gallery,
    dlib_model: FaceModel,
    runtime: Runtime,
) -> Callable[[Find], Tally]:
    """Tries all close-ups with one way to find a face; alignment and network stay the same."""
    network = runtime.compile(dlib_model.network())

    def tried(find: Find) -> Tally:
        counts = Tally()
        for name, pixels in close_ups:
            face = find(pixels)
            if face is None:
                continue
            counts.found += 1
            size = pixels.shape[1], pixels.shape[0]
            counts.inside += bool(((face.landmarks >= 0) & (face.landmarks <= size)).all())
            (vectors,) = network(aligned(pixels, face, dlib_model)[None])
            identified = gallery.identify(vectors[0])
            counts.right += identified == name
            counts.wrong += identified not in (name, None)
        return counts

    return tried


def facenet_pytorchs() -> Find:
    """The largest face that facenet-pytorch's own cascade finds."""
    from facenet_pytorch import MTCNN

    cascade = MTCNN(keep_all=True)

    def find(pixels: Picture) -> DetectedFace | None:
        boxes, scores, landmarks = cascade.detect(pixels, landmarks=True)
        if boxes is None:
            return None
        rows, columns = pixels.shape[:2]
        inside = boxes.clip(0, (columns, rows, columns, rows)).astype(float)
        sides = np.sqrt((inside[:, 2:] - inside[:, :2]).prod(axis=1))
        k = sides.argmax()
        return DetectedFace(boxes[k].astype(float), landmarks[k].astype(float), scores[k], sides[k])

    return find


@pytest.mark.usefixtures("calm_torch")
def test_close_ups_are_found_and_recognised_and_padding_is_why(
    detector: FaceDetector, tally: Callable[[Find], Tally]
) -> None:
    def find(pixels: Picture) -> DetectedFace | None:
        faces = detector.detect(Pyramid(pixels))
        return faces[0] if faces else None

    ours, theirs = tally(find), tally(facenet_pytorchs())
    print(f"ours:              {ours}")
    print(f"facenet-pytorch's: {theirs}")
    assert ours.found == 58
    assert ours.inside == 58
    assert ours.wrong == 0
    assert ours.right >= 0.95 * 58
    assert theirs.right < ours.right
    assert theirs.inside < ours.inside


@pytest.mark.parametrize(
    ("margin", "least_found", "least_right"), [(0.4, 58, 57), (0.2, 58, 40), (0.1, 52, 20)]
)
def test_close_ups_log_people_in(
    margin: float,
    least_found: int,
    least_right: int,
    recogniser: Recogniser,
    gallery: Gallery,
    cropped: dict[float, list[tuple[str, Picture]]],
) -> None:
    """The closer the crop, the less there is to recognise, but nobody becomes another person."""
    found, right, wrong = 0, 0, 0
    for name, pixels in cropped[margin]:
        with suppress(NoFace):
            identified = gallery.identify(recogniser.for_login(encoded(pixels, "BMP")))
            found += 1
            right += identified == name
            wrong += identified not in (name, None)
    print(f"close-ups with a margin of {margin}: {found} found, {right} right, {wrong} wrong")
    assert found >= least_found
    assert right >= least_right
    assert wrong == 0
