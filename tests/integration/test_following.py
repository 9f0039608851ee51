"""The gallery catches up with the store in the background, whatever happens there."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.gallery.memory_gallery import MemoryGallery
from app.lifecycle import Service
from app.recognition.recogniser import Recogniser
from app.storage import StoreUnavailable
from app.storage.sqlite.store import SqliteStore
from models.catalogue import FaceModel
from testbed.employees import someone
from testbed.serving import wait_until_loaded
from tests.support.services import service_with
from tests.support.waiting import eventually

CATCH_UP_S = 0.01


class FailingGallery(MemoryGallery):
    """Fails to catch up with the next of `errors`, as long as there are some."""

    errors: list[Exception]

    def catch_up(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        super().catch_up()


Start = Callable[[list[Exception]], FailingGallery]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "employees.db")) as store:
        yield store


@pytest.fixture
def start(store: SqliteStore, recogniser: Recogniser) -> Iterator[Start]:
    """Starts a service whose gallery meets these errors when it catches up."""
    services: list[Service] = []
    made: list[FailingGallery] = []

    def start(errors: list[Exception]) -> FailingGallery:
        def make_gallery(model: FaceModel) -> FailingGallery:
            gallery = FailingGallery(store, replace(model, dimension=8))
            gallery.errors = errors
            made.append(gallery)
            return gallery

        service = service_with(store, recogniser, make_gallery, CATCH_UP_S)
        services.append(service)
        service.start()
        wait_until_loaded(service)
        (gallery,) = made
        return gallery

    yield start
    for service in services:
        service.stop()


def test_unexpected_errors_do_not_stop_catching_up(store: SqliteStore, start: Start) -> None:
    errors: list[Exception] = [
        *[KeyError("a bug")] * 4,
        StoreUnavailable("away"),
        *[MemoryError()] * 2,
        *[KeyError("another bug")] * 2,
    ]
    with capture_logs() as lines:
        gallery = start(errors)
        eventually(lambda: not errors)
        store.add(someone(1))
        eventually(lambda: len(gallery) == 1)
    told = [line["event"] for line in lines if line["log_level"] == "error"]
    assert len(told) == 3  # once for each kind
    assert all(event.startswith("the gallery cannot catch up") for event in told)


def test_retries_become_less_frequent(start: Start) -> None:
    class Endless(list[Exception]):
        def __init__(self) -> None:
            super().__init__([KeyError()])
            self.times: list[float] = []

        def pop(self, _: int = 0) -> Exception:  # type: ignore[override]
            self.times.append(time.monotonic())
            return KeyError("a bug")

    errors = Endless()
    start(errors)
    eventually(lambda: len(errors.times) >= 7)
    pauses = [later - earlier for earlier, later in pairwise(errors.times)]
    assert pauses[3] > 4 * CATCH_UP_S
    assert max(pauses) < 2 + 16 * CATCH_UP_S
