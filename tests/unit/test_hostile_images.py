"""Small files made to cost much: what the image loader makes of them, how long, how much memory.

What a whole service makes of them: test_hostile_requests.py.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from app.limiter import Overloaded
from app.recognition import ImageTooLarge, NotAnImage
from app.recognition.image import Photo
from app.recognition.pixel_budget import PixelBudget
from testbed.photos import GRACE_HOPPER, encoded
from tests.support import hostile_files as files


def test_a_jpeg_of_many_scans_is_refused_before_any_is_decoded() -> None:
    data = files.jpeg_of_many_scans(5_000)
    started = time.process_time()
    with pytest.raises(NotAnImage, match="too many scans"):
        Photo(data, 50)
    assert time.process_time() - started < 0.5


def test_scans_are_counted_in_the_picture_alone() -> None:
    progressive = encoded(Image.open(GRACE_HOPPER), "JPEG", progressive=True)
    film = b"\xff\xda\x00\x04" * 1000  # as phones append one
    remark = b"\xff\xfe" + (len(film) + 2).to_bytes(2) + film
    picture = Photo(progressive[:2] + remark + progressive[2:] + film, 50).decode()
    np.testing.assert_array_equal(picture, Photo(progressive, 50).decode())


def test_a_tile_counts_as_the_pixels_it_has() -> None:
    with pytest.raises(ImageTooLarge, match=r"400\.0 megapixels"):
        Photo(files.tiff_with_a_large_tile(), 50)


def test_only_formats_that_are_taken_are_read() -> None:
    data = encoded(Image.new("RGB", (9, 9)), "GIF")
    with pytest.raises(NotAnImage, match=r"not a picture we can read \(JPEG, PNG\)"):
        Photo(data, 50, ("JPEG", "PNG"))


@pytest.fixture
def held() -> Iterator[PixelBudget]:
    """A budget of 100 pixels of which 60 are taken."""
    budget = PixelBudget(100, patience_s=0.1)
    with budget.share(60):
        yield budget


def test_pixels_are_shared(held: PixelBudget) -> None:
    with held.share(40), pytest.raises(Overloaded), held.share(1):
        pass
    with held.share(40):
        pass


def test_a_refused_request_holds_no_pixels(held: PixelBudget) -> None:
    with pytest.raises(Overloaded), held.share(41):
        pass
    with held.share(40):
        pass


def test_a_share_above_the_budget_takes_all_of_it() -> None:
    budget = PixelBudget(100, patience_s=0.1)
    with budget.share(1e9), pytest.raises(Overloaded), budget.share(1):
        pass


def test_a_share_is_waited_for() -> None:
    budget = PixelBudget(100, patience_s=30)
    with ExitStack() as held:
        held.enter_context(budget.share(100))
        threading.Timer(0.2, held.pop_all().close).start()
    with budget.share(100):
        pass


def test_a_picture_takes_its_share_while_it_is_decoded() -> None:
    budget = PixelBudget(50e6, patience_s=0.1)
    photo = Photo(files.png(7_000, 7_000), 50, budget=budget)
    with budget.share(2e6), pytest.raises(Overloaded):
        photo.decode(480)
    assert photo.decode(480).shape == (500, 500, 3)
    with budget.share(50e6):
        pass


def test_a_baseline_jpeg_takes_what_it_is_shrunk_to() -> None:
    large = Image.new("RGB", (4_000, 4_000))
    budget = PixelBudget(50e6, patience_s=0.1)
    with budget.share(49e6):
        assert Photo(encoded(large, "JPEG"), 50, budget=budget).decode(480).shape == (500, 500, 3)
        progressive = Photo(encoded(large, "JPEG", progressive=True), 50, budget=budget)
        with pytest.raises(Overloaded):
            progressive.decode(480)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I", "F", "I;16", "CMYK", "RGBA"])
def test_large_pictures_of_every_mode_are_shrunk_in_bands(mode: str) -> None:
    """And their bands fit together: a gradient stays one."""
    gradient = Image.linear_gradient("L").resize((1024, 4096))
    match mode:
        case "1":
            image = gradient.point(lambda value: 255 * (value > 127)).convert("1")
        case "I;16":
            image = gradient.convert("I").point(lambda value: value * 256).convert("I;16")
        case _:
            image = gradient.convert(mode)
    form = "TIFF" if mode in ("I", "F", "CMYK") else "PNG"
    picture = Photo(encoded(image, form), 50).decode(512).astype(int)
    assert picture.shape == (2048, 512, 3)
    column = picture[:, 256, 0]
    assert column[0] < 3
    assert column[-1] > 252
    steps = abs(column[1:] - column[:-1])
    assert steps.max() <= (255 if mode == "1" else 2)
    assert (column[1:] - column[:-1]).min() >= 0
