"""Fixtures for every test."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from pymongo.collection import Collection

from app.access import counters
from app.recognition.detector import FaceDetector
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from models.catalogue import Catalogue, FaceModel
from models.network import Runtime
from testbed.browser import Browser
from testbed.log_scan import leaks
from testbed.milvus import MilvusServer
from testbed.missing import Missing
from testbed.mongod import Mongod
from testbed.photos import FACES
from testbed.redis_server import Redis
from testbed.runtimes import shared_runtime
from testbed.serving import MODELS_DIR, free_port
from tests.support.limiting import Clock
from tools.liveness_service import LivenessService

# Examples have no deadline, because other processes use the cores, too.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


# A shell without job control lets background jobs ignore Ctrl-C, and what they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TESTS = Path(__file__).parent
_TIERS = ("system", "integration", "unit")
_LONGEST = ("test_read_your_writes.py", "test_fraud_detection.py", "test_outages.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest: side by side, the short ones then fill the gaps."""

    def turn(item: pytest.Item) -> tuple[bool, int]:
        tier = item.path.relative_to(_TESTS).parts[0]
        return item.path.name not in _LONGEST, _TIERS.index(tier)

    items.sort(key=turn)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need photos which are not here."""
    if item.get_closest_marker("faces") and not FACES.is_dir():
        pytest.skip("the photos of ../shared/faces are missing")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Pass if no test is selected in one of the two runs that `make test` consists of."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.markexpr:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test for which a program is missing; in CI, fail it.

    Fail a test whose output, logs included, holds a photo, a vector or a key.
    """
    report = yield
    if call.excinfo and call.excinfo.errisinstance(Missing) and not os.environ.get("CI"):
        report.outcome = "skipped"
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), (line or 0) + 1, f"Skipped: {call.excinfo.value}")
    if call.when == "teardown" and report.passed:
        output = report.capstdout + report.capstderr + report.caplog
        if found := leaks(output):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} logged {found}"
    return report


@pytest.fixture(scope="module")
def liveness() -> Iterator[LivenessService]:
    """A stand-in for the liveness service that the tests of a file share."""
    with LivenessService() as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that the tests of a file share; its webcam films what they show it.

    Playwright runs an event loop in this thread as long as the browser lives.
    """
    with Browser(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """A standalone mongod that all tests share."""
    with Mongod() as process:
        yield process


@pytest.fixture(scope="session")
def mongod_replica_set() -> Iterator[Mongod]:
    """A replica set of one mongod that all tests share."""
    # a write waits for the journal there, by default a tenth of a second
    with Mongod("--journalCommitInterval", "2", replica_set=True) as process:
        yield process


@pytest.fixture(scope="session")
def milvus() -> Iterator[MilvusServer]:
    """A milvus-lite server that all tests share; each uses a collection of its own."""
    with MilvusServer() as server:
        yield server


@pytest.fixture
def database(mongod: Mongod) -> Iterator[str]:
    """The name of a database that is dropped afterwards."""
    name = f"test_{uuid4().hex}"
    yield name
    mongod.drop(name)


@pytest.fixture
def users(mongod: Mongod, database: str) -> Iterator[Collection[dict[str, Any]]]:
    """The employees' collection as others read and write it."""
    with mongod.client() as client:
        yield client[database]["users"]


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The runtime as the service chooses it without a GPU."""
    return shared_runtime()


@pytest.fixture(scope="session")
def dlib_model() -> FaceModel:
    """The face model that needs no download."""
    return Catalogue(MODELS_DIR).get("dlib")


@pytest.fixture(scope="session")
def detector(runtime: Runtime) -> FaceDetector:
    """The face detector with its defaults."""
    return FaceDetector(runtime)


@pytest.fixture(scope="session")
def recogniser(runtime: Runtime, dlib_model: FaceModel) -> Recogniser:
    """The whole pipeline with the model dlib."""
    return Recogniser(runtime, dlib_model, PictureRequirements())


@pytest.fixture(scope="module")
def calm_torch() -> Iterator[None]:
    """PyTorch with one thread: several spin for ages where others use the cores, too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that keeps nothing."""
    with Redis(tmp_path, free_port()) as server:
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A fake clock for the counters of the rate limits."""
    clock = Clock()
    monkeypatch.setattr(counters, "time", clock)
    return clock
