"""Measure the stages of a login, here and in the alternatives, all in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch

from app.bootstrap import make_service
from app.gallery.distances import identified
from app.recognition.alignment import chip_to_picture, middle
from app.recognition.detector import FaceDetector
from app.recognition.image import Photo
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pyramid import Pyramid
from app.recognition.recogniser import sharpness
from benchmarks import straightforward
from benchmarks.dlib_pipeline import Dlib
from benchmarks.pictures import jpeg, people, png
from benchmarks.rounds import SETTLE_S, Effort, Timings, interleave
from benchmarks.services import Setup, fill, random_weights, setups, synthetic
from benchmarks.straightforward import Timed
from models.runtime import choose_runtime
from testbed.missing import Missing
from testbed.mongod import Mongod
from testbed.serving import wait_until_loaded

Login = Callable[[bytes, Timed], Any]

LIMITS = PictureRequirements()


def measure(effort: Effort) -> dict[str, Any]:
    """Measure the milliseconds of each stage: {pipeline: {JPEG or PNG: {stage: summary}}}."""
    cv2.setNumThreads(1)  # as the service does
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        logins = {
            f"this service, {name}": stack.enter_context(_own(setup, folder / name))
            for name, setup in setups().items()
        }
        logins["straightforward"] = _straightforward(folder)
        logins["dlib"] = Dlib(upsample=0).vector
        logins["dlib, photo doubled"] = Dlib(upsample=1).vector
        stages = _time(logins, rounds=effort(3, 24))
        return {"stages": stages, "search": _searches(folder, effort(1, 8))}


def _time(logins: dict[str, Login], rounds: int) -> dict[str, Any]:
    timings = {name: {form: Timings() for form in ("JPEG", "PNG")} for name in logins}
    photos = [{"JPEG": jpeg(p.login), "PNG": png(p.login)} for p in people()]
    for number in range(-1, rounds):
        for form, photo in photos[number % len(photos)].items():
            for name, login in logins.items():
                time.sleep(SETTLE_S)
                if number < 0:
                    login(photo, straightforward.untimed)
                    continue
                timer = timings[name][form]
                timer.timed("total", lambda: login(photo, timer.timed))  # noqa: B023  called here
    return {
        name: {form: timer.summary() for form, timer in forms.items()}
        for name, forms in timings.items()
    }


@contextmanager
def _own(setup: Setup, folder: Path) -> Iterator[Login]:
    """Yield a login with the service's parts, called as its use case calls them."""
    folder.mkdir()
    model = setup.model()
    fill(folder / "employees.db", model)
    service = make_service(setup.settings(folder))
    service.start()
    wait_until_loaded(service)
    runtime = choose_runtime("cpu")
    detector, network = FaceDetector(runtime), runtime.compile(model.network())

    def login(data: bytes, timed: Timed) -> Any:  # noqa: ANN401
        photo = Photo(data, LIMITS.megapixels)
        picture = timed("decode", lambda: photo.decode(LIMITS.search_side))
        pyramid = Pyramid(picture)
        face = timed("detect", lambda: detector.detect(pyramid, LIMITS.rival))[0]

        def align() -> Any:  # noqa: ANN401
            whole = chip_to_picture(face, model)
            crops = [middle(whole, share, model.side) for share in model.crops]
            chips = np.stack([pyramid.warped(crop, model.side) for crop in crops])
            assert sharpness(chips[0]) >= LIMITS.sharpness
            return chips

        def embed() -> Any:  # noqa: ANN401
            total = network(chips)[0].sum(axis=0)
            return total / np.linalg.norm(total)

        chips = timed("align", align)
        vector = timed("embed", embed)
        return timed("search", lambda: identified(service.gallery.nearest_people(vector)))

    try:
        yield login
    finally:
        service.stop()


def _straightforward(folder: Path) -> Login:
    table = folder / "table.db"
    straightforward.add(table, list(enumerate(synthetic(512), start=1)))
    network = straightforward.load_network(random_weights())
    return straightforward.Straightforward(network, table).login


def _searches(folder: Path, rounds: int) -> dict[str, Any]:
    """Time the straightforward search alone, in faster and slower forms."""
    vectors = list(enumerate(synthetic(512), start=1))
    straightforward.add(folder / "lists.db", vectors, as_lists=True)
    probe = np.full(512, 512**-0.5, np.float32)

    def case(table: str, paged: bool) -> Callable[[int], Any]:
        pipeline = straightforward.Straightforward(torch.nn.Identity(), folder / table, paged)
        return lambda _: pipeline.search(probe)

    cases: dict[str, Callable[[int], Any]] = {
        "one statement, vectors as bytes": case("table.db", paged=False),
        "one statement, vectors as lists": case("lists.db", paged=False),
        "50 rows a statement, vectors as bytes": case("table.db", paged=True),
        "50 rows a statement, vectors as lists": case("lists.db", paged=True),
    }
    with ExitStack() as stack:
        with suppress(Missing):  # there is no mongod on this machine
            client = stack.enter_context(stack.enter_context(Mongod()).client())
            users = client["benchmark"]["users"]
            users.insert_many({"_id": i, "vector": vector.tolist()} for i, vector in vectors)
            cases["MongoDB, 50 documents a query, vectors as lists"] = lambda _: (
                straightforward.search_mongodb(users, probe)
            )
        return interleave(cases, rounds, warm=0 if rounds == 1 else 1).summary()
