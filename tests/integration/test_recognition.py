"""From an encoded photo to a feature vector, or to the sentence that says what to change."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.recognition import (
    FaceTooBlurred,
    FaceTooSmall,
    ImageTooLarge,
    NoFace,
    NotAnImage,
    SeveralFaces,
)
from app.recognition.detector import FaceDetector
from app.recognition.image import Picture
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from models.catalogue import FaceModel
from models.network import Runtime
from testbed.photos import ASTRONAUT, GRACE_HOPPER, PORTRAITS, WITHOUT_FACE, encoded, picture
from tests.support.chips import cut_closely, largest_face

FACE_SIDE = {GRACE_HOPPER: 203, ASTRONAUT: 95}  # in pixels


@pytest.fixture(scope="module")
def vector(recogniser: Recogniser) -> NDArray[np.float32]:
    """The feature vector of an enrolment."""
    return recogniser.for_enrolment(GRACE_HOPPER.read_bytes()).vector


def distance(recogniser: Recogniser, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(one - other)) * recogniser.model.distance_scale


def resized(pixels: Picture, rows: int) -> Picture:
    size = (round(pixels.shape[1] * rows / pixels.shape[0]), rows)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def beside(*pictures: Picture) -> Picture:
    rows = max(len(pixels) for pixels in pictures)
    return np.hstack(
        [cv2.copyMakeBorder(p, 0, rows - len(p), 0, 0, cv2.BORDER_REPLICATE) for p in pictures]
    )


def test_vectors_have_unit_length(recogniser: Recogniser, vector: NDArray[np.float32]) -> None:
    assert vector.shape == (recogniser.model.dimension,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_login_and_enrolment_see_the_same(
    recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    login = recogniser.for_login(GRACE_HOPPER.read_bytes())
    np.testing.assert_allclose(login, vector, atol=1e-6)


def test_two_persons_are_far_apart(recogniser: Recogniser, vector: NDArray[np.float32]) -> None:
    other = recogniser.for_login(ASTRONAUT.read_bytes())
    assert distance(recogniser, other, vector) > 0.9


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_pixels_are_turned_back(
    quarters: int, recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    turned = encoded(np.rot90(picture(GRACE_HOPPER), quarters).copy())
    assert distance(recogniser, recogniser.for_login(turned), vector) < 0.3


@pytest.mark.parametrize(("rows", "quality"), [(150, 95), (480, 30), (1200, 30), (3600, 90)])
def test_the_size_of_the_photo_hardly_matters(
    rows: int, quality: int, recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    photo = encoded(resized(picture(GRACE_HOPPER), rows), "JPEG", quality=quality)
    assert distance(recogniser, recogniser.for_login(photo), vector) < 0.4


def test_a_small_face_in_a_large_photo_keeps_its_detail(
    recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    """It is searched for in a smaller version of the photo, but read from the photo itself."""
    pixels = resized(picture(GRACE_HOPPER), 700)
    scene = cv2.copyMakeBorder(pixels, 900, 200, 1500, 300, cv2.BORDER_CONSTANT, value=(90,) * 3)
    photo = encoded(scene, "JPEG", quality=95)
    assert distance(recogniser, recogniser.for_login(photo), vector) < 0.3


def test_of_equal_faces_the_central_one_logs_in_and_none_enrols(
    recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    neighbour = resized(picture(ASTRONAUT), 750)
    three = encoded(beside(neighbour, picture(GRACE_HOPPER), neighbour))
    assert distance(recogniser, recogniser.for_login(three), vector) < 0.3
    with pytest.raises(SeveralFaces, match=r"several faces \(3\), enrol one person"):
        recogniser.for_enrolment(three)


def test_the_nearest_person_logs_in_even_from_the_edge(
    recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    near, far = picture(GRACE_HOPPER), resized(picture(ASTRONAUT), 300)
    scene = encoded(beside(near, far, np.full_like(near, 128)))
    assert distance(recogniser, recogniser.for_login(scene), vector) < 0.3


def test_a_small_face_in_the_background_does_not_prevent_enrolment(
    recogniser: Recogniser, vector: NDArray[np.float32]
) -> None:
    scene = encoded(beside(picture(GRACE_HOPPER), resized(picture(ASTRONAUT), 180)))
    assert distance(recogniser, recogniser.for_enrolment(scene).vector, vector) < 0.3


@pytest.mark.parametrize("photo", WITHOUT_FACE, ids=lambda photo: photo.stem)
def test_a_photo_without_a_face_raises_no_face(photo: Path, recogniser: Recogniser) -> None:
    with pytest.raises(NoFace, match="no face was found in the picture"):
        recogniser.for_login(photo.read_bytes())


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_face_that_fills_the_picture_is_recognised(
    photo: Path, detector: FaceDetector, recogniser: Recogniser
) -> None:
    pixels = picture(photo)
    close_up = cut_closely(pixels, largest_face(detector, pixels).landmarks, margin=0.2)
    vector = recogniser.for_login(encoded(close_up))
    own, others = (
        [distance(recogniser, recogniser.for_login(each.read_bytes()), vector) for each in group]
        for group in ([photo], set(PORTRAITS) - {photo})
    )
    assert max(own) < 0.8 < min(others)


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_face_that_is_too_small_is_refused(photo: Path, recogniser: Recogniser) -> None:
    pixels = picture(photo)
    pixels = resized(pixels, round(len(pixels) * 17 / FACE_SIDE[photo]))
    scene = cv2.copyMakeBorder(pixels, 60, 60, 60, 60, cv2.BORDER_REPLICATE)
    with pytest.raises(FaceTooSmall, match=r"too small \(\d+ pixels\), come closer"):
        recogniser.for_login(encoded(scene))


def test_a_picture_that_is_too_small_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(FaceTooSmall, match=r"the picture is too small \(20×9 pixels\)"):
        recogniser.for_login(encoded(Image.new("RGB", (20, 9))))


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_blurred_face_is_refused(photo: Path, recogniser: Recogniser) -> None:
    blurred = cv2.GaussianBlur(picture(photo), (0, 0), 0.05 * FACE_SIDE[photo])
    with pytest.raises(FaceTooBlurred, match="too blurred, hold the camera still"):
        recogniser.for_login(encoded(blurred))


def test_the_recogniser_applies_its_megapixel_limit(
    runtime: Runtime, dlib_model: FaceModel
) -> None:
    careful = Recogniser(runtime, dlib_model, PictureRequirements(megapixels=0.2))
    photo = GRACE_HOPPER.read_bytes()
    with pytest.raises(ImageTooLarge, match=r"megapixels, at most 0\.2 are allowed"):
        careful.for_login(photo)
    with pytest.raises(ImageTooLarge):
        careful.for_enrolment(photo)


def test_data_that_is_not_a_picture_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(NotAnImage):
        recogniser.for_login(b"no picture")
