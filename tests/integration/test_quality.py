"""Poor photos are not enrolled: the answer says what to do. They log people in as before."""

import base64
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.recognition import UnusableImage
from app.recognition.detector import FaceDetector
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from models.catalogue import FaceModel
from models.network import Runtime
from testbed import flaws
from testbed.photos import ASTRONAUT, PORTRAITS, encoded, people, picture
from tests.support import sent_photos as photos
from tests.support.chips import largest_face

POOR = {
    "grey noise": (flaws.grey_noise(15), "face_too_noisy", "more light"),
    "colour noise": (flaws.colour_noise(20), "face_too_noisy", "more light"),
    "coarse noise": (flaws.coarse_noise(30), "face_too_noisy", "more light"),
    "salt and pepper": (flaws.salt_and_pepper(0.05), "face_too_noisy", "more light"),
    "blocks": (flaws.jpeg(5), "face_too_noisy", "compressed too much"),
    "motion": (flaws.motion_blur(15), "face_too_blurred", "hold the camera still"),
    "out of focus": (flaws.defocus(6), "face_too_blurred", "hold the camera still"),
    "dark": (flaws.brightness(0.15), "poor_light", "more light"),
    "backlight": (flaws.backlight, "poor_light", "more light"),
    "bright": (flaws.brightness(1.6), "poor_light", "less light"),
    "light from one side": (flaws.side_light, "poor_light", "turn towards the light"),
    "small": (flaws.face_side(30), "face_too_small", "move closer"),
    "mask": (flaws.mask, "face_covered", "take off the mask"),
    "scarf": (flaws.scarf, "face_covered", "take off the mask"),
    "sunglasses": (flaws.sunglasses, "face_covered", "take off the sunglasses"),
    "cap": (flaws.cap, "face_covered", "take off the cap"),
    "wide": (flaws.stretched(1.78, 1), "picture_stretched", "as it was taken"),
    "high": (flaws.stretched(1, 2), "picture_stretched", "as it was taken"),
}

MakePoor = Callable[[flaws.Flaw], bytes]


@pytest.fixture(scope="module")
def poor(detector: FaceDetector) -> MakePoor:
    """Makes the astronaut's photo poor."""
    pixels = picture(ASTRONAUT)
    face = largest_face(detector, pixels)
    return lambda flaw: encoded(flaw(pixels, face, np.random.default_rng(2)))


@pytest.fixture(scope="module")
def lenient(runtime: Runtime, dlib_model: FaceModel) -> Recogniser:
    return Recogniser(runtime, dlib_model, PictureRequirements(quality="off"))


@pytest.mark.parametrize(("flaw", "code", "advice"), POOR.values(), ids=POOR)
def test_a_poor_photo_is_refused_with_advice(
    flaw: flaws.Flaw, code: str, advice: str, poor: MakePoor, recogniser: Recogniser
) -> None:
    with pytest.raises(UnusableImage, match=advice) as refused:
        recogniser.for_enrolment(poor(flaw))
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["grey noise", "blocks", "dark", "small", "scarf"])
def test_without_the_gate_it_is_enrolled_and_logs_in_as_before(
    name: str, poor: MakePoor, recogniser: Recogniser, lenient: Recogniser
) -> None:
    photo = poor(POOR[name][0])
    enrolled = lenient.for_enrolment(photo).vector
    np.testing.assert_allclose(enrolled, recogniser.for_login(photo), atol=1e-3)


@pytest.mark.parametrize("photo", PORTRAITS, ids=lambda photo: photo.stem)
def test_a_good_photo_is_enrolled_with_the_same_vector(
    photo: Path, recogniser: Recogniser, lenient: Recogniser
) -> None:
    data = photo.read_bytes()
    enrolled, ungated = recogniser.for_enrolment(data), lenient.for_enrolment(data)
    np.testing.assert_allclose(enrolled.vector, ungated.vector, atol=1e-3)


@pytest.mark.parametrize(
    ("flaw", "standard", "strict"),
    [
        (lambda pixels, *_: pixels, "good", True),
        (flaws.face_side(52), "fair", False),
    ],
    ids=["as it is", "small"],
)
def test_an_enrolled_photo_is_as_good_as_the_strictest_gate_that_accepts_it(
    flaw: flaws.Flaw,
    standard: str,
    strict: bool,
    poor: MakePoor,
    recogniser: Recogniser,
    lenient: Recogniser,
    runtime: Runtime,
    dlib_model: FaceModel,
) -> None:
    photo = poor(flaw)
    assert recogniser.for_enrolment(photo).grade == standard
    assert lenient.for_enrolment(photo).grade is None
    strictest = Recogniser(runtime, dlib_model, PictureRequirements(quality="strict"))
    with nullcontext() if strict else pytest.raises(UnusableImage):
        assert strictest.for_enrolment(photo).grade == "good"


@pytest.mark.parametrize("method", ["post", "put"])
def test_enrolment_and_replacement_are_refused(
    method: str, client: FlaskClient, poor: MakePoor
) -> None:
    good = photos.astronaut()
    body = {"name": "Eileen", "surname": "Collins"}
    if method == "put":
        assert client.post("/api/store/1", json=body | {"img_base64": good}).status_code == 200
    photo = base64.b64encode(poor(flaws.mask)).decode()
    answer = getattr(client, method)(
        "/api/store/1",
        json=body | {"img_base64": [good, photo]},
        headers={"Accept": "application/problem+json"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (422, "face_covered")
    sentence = "picture 2: the lower face is covered, take off the mask"
    assert answer.get_json()["title"] == sentence


@pytest.mark.faces
def test_none_of_many_good_photos_is_refused(recogniser: Recogniser) -> None:
    for of_one in people().values():
        for photo in of_one:
            recogniser.for_enrolment(photo.read_bytes())
