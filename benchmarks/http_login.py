"""Measure a login over HTTP with one client, and what a 12-megapixel photo costs."""

from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.dlib_pipeline import Dlib
from benchmarks.pictures import jpeg, login_body, people, phone_photo, png
from benchmarks.rounds import Effort, interleave
from benchmarks.services import (
    Client,
    service_with_gallery,
    setups,
    straightforward_with_gallery,
)


def measure(effort: Effort) -> dict[str, Any]:
    """Measure milliseconds from a request to its answer, and for decoding a phone's photo.

    dlib's detector and network run in this process, without HTTP and without a search.
    """
    crowd = people()
    phone = [phone_photo(person.login) for person in crowd[: effort(1, 3)]]
    bodies = {
        "JPEG": [login_body(jpeg(person.login)) for person in crowd],
        "PNG": [login_body(png(person.login)) for person in crowd],
        "12 MP JPEG": [login_body(photo) for photo in phone],
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ports = {
            f"this service, {name}": stack.enter_context(
                service_with_gallery(setup, folder / name, crowd)
            ).port
            for name, setup in setups().items()
        }
        for name, paged in (("straightforward", False), ("straightforward, paged", True)):
            ports[name] = stack.enter_context(
                straightforward_with_gallery(folder / name, crowd, paged)
            )

        def case(port: int, form: str) -> Callable[[int], bytes]:
            client, of_form = Client(port), bodies[form]
            return lambda number: client.login(of_form[number % len(of_form)])

        def in_process(pipeline: Dlib) -> Callable[[int], Any]:
            photos = [jpeg(person.login) for person in crowd]
            return lambda number: pipeline.vector(photos[number % len(photos)])

        cases: dict[str, Callable[[int], Any]] = {
            f"{name}: {form}": case(port, form)
            for name, port in ports.items()
            for form in bodies
            if form != "12 MP JPEG" or name.startswith("this service")
        }
        for name, upsample in (("dlib", 0), ("dlib, photo doubled", 1)):
            cases[f"{name}: JPEG"] = in_process(Dlib(upsample))
        requests = interleave(cases, effort(3, 24), warm=effort(1, 3)).summary()
    return {
        "requests": requests,
        "decoding": _decoding(phone, effort(2, 12)),
        "photo_bytes": {
            "JPEG": _median_size([jpeg(person.login) for person in crowd]),
            "PNG": _median_size([png(person.login) for person in crowd]),
            "12 MP JPEG": _median_size(phone),
        },
    }


def _decoding(photos: list[bytes], rounds: int) -> dict[str, Any]:
    """Time libjpeg alone. Shrinking to an eighth leaves little but the entropy decoding."""

    def case(shrink: int) -> Callable[[int], None]:
        def decode(number: int) -> None:
            image = Image.open(BytesIO(photos[number % len(photos)]))
            image.draft(None, (image.width // shrink, image.height // shrink))
            image.load()

        return decode

    return interleave({f"1/{shrink}": case(shrink) for shrink in (8, 4, 2, 1)}, rounds).summary()


def _median_size(photos: list[bytes]) -> int:
    return int(np.median([len(photo) for photo in photos]))
