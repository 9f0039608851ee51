"""Faces that are small in a large picture: what counts is how many pixels they have."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.recognition import FaceTooSmall, NoFace
from app.recognition.frame_sequence import BadFrame
from app.recognition.recogniser import Recogniser
from testbed.photos import ASTRONAUT, WITHOUT_FACE, encoded

FACE = 100  # pixels of the astronaut's face in her photo


def seen_from_afar(size: tuple[int, int], face: int) -> bytes:
    """The astronaut in the middle of a larger picture, her face so many pixels wide."""
    photo = Image.open(ASTRONAUT).convert("RGB")
    side = round(photo.width * face / FACE)
    scene = Image.new("RGB", size, (150, 150, 145))
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    scene.paste(photo.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return encoded(scene, "JPEG", quality=92)


@pytest.mark.parametrize(
    ("size", "face"),
    [((1920, 1080), 60), ((3840, 2160), 60), ((4032, 3024), 80), ((8192, 6144), 160)],
)
def test_a_face_of_enough_pixels_is_recognised(
    size: tuple[int, int], face: int, recogniser: Recogniser
) -> None:
    known = recogniser.for_login(ASTRONAUT.read_bytes())
    vector = recogniser.for_login(seen_from_afar(size, face))
    assert np.linalg.norm(vector - known) * recogniser.model.distance_scale < 0.6


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
def test_a_face_of_too_few_pixels_is_asked_to_come_closer(
    size: tuple[int, int], recogniser: Recogniser
) -> None:
    with pytest.raises(FaceTooSmall, match="come closer"):
        recogniser.for_login(seen_from_afar(size, 22))


@pytest.mark.parametrize("photo", WITHOUT_FACE, ids=lambda photo: photo.stem)
def test_a_finer_search_finds_no_face_where_there_is_none(
    photo: Path, recogniser: Recogniser
) -> None:
    large = Image.open(photo).convert("RGB").resize((3000, 2000))
    with pytest.raises(NoFace):
        recogniser.for_login(encoded(large, "JPEG"))


def test_a_frame_has_fewer_pixels_than_a_photo(recogniser: Recogniser) -> None:
    frame = encoded(Image.new("RGB", (2600, 1800)), "JPEG")
    with pytest.raises(BadFrame, match=r"4\.7 megapixels, at most 4\.2 are allowed") as raised:
        recogniser.for_frames(ASTRONAUT.read_bytes(), [frame] * 15)
    assert raised.value.number == 0
