"""Fixtures for every test."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.collection import Collection

from app.access import counters
from app.recognition.detector import FaceDetector
from app.recognition.recogniser import Recogniser
from app.recognition.requirements import PictureRequirements
from app.settings import Settings
from app.storage import EmployeeStore
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from models.catalogue import Catalogue, FaceModel
from models.openvino import OpenVinoRuntime
from tests.employees import VECTOR_KEY
from tests.limiting import Clock
from tests.log_scan import leaks
from tests.milvus import MilvusServer
from tests.mongod import Mongod
from tests.redis_server import Redis
from tests.serving import MODELS_DIR, free_port, ready_app

OpenStore = Callable[[], EmployeeStore]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose output, logs included, holds a photo, a vector or a key."""
    report = yield
    if call.when == "teardown" and report.passed:
        output = report.capstdout + report.capstderr + report.caplog
        if found := leaks(output):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} logged {found}"
    return report


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


@pytest.fixture(
    params=[
        "sqlite",
        "sqlite, sealed",
        pytest.param("mongod", marks=pytest.mark.mongod),
        pytest.param("mongod, sealed", marks=pytest.mark.mongod),
        pytest.param("mongod_replica_set", marks=pytest.mark.mongod),
    ]
)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens one more store on the test's own, at first empty, file or database."""
    kind, _, sealed = request.param.partition(", ")
    keys = VectorKeys(VECTOR_KEY if sealed else None)
    with ExitStack() as opened:
        if kind == "sqlite":

            def connect() -> EmployeeStore:
                return SqliteStore(tmp_path / "employees.db", keys)

        else:
            process: Mongod = request.getfixturevalue(kind)
            database = f"test_{uuid4().hex}"
            opened.callback(process.drop, database)

            def connect() -> EmployeeStore:
                return MongoStore(
                    Settings(mongo_db_url=f"{process.address}/{database}", mongo_db_timeout_s=20),
                    keys,
                )

        yield lambda: opened.enter_context(closing(connect()))


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


@pytest.fixture
def mongo_store(mongod: Mongod, database: str) -> Iterator[MongoStore]:
    """An empty store in MongoDB."""
    settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
    with closing(MongoStore(settings)) as store:
        yield store


@pytest.fixture
def store(open_store: OpenStore) -> EmployeeStore:
    """An empty store; the test runs once on each kind."""
    return open_store()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service in this process, ready, on an SQLite file that all tests share."""
    app = ready_app(tmp_path_factory.mktemp("app"), max_body_mb=2)
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the service, in which nobody is enrolled."""
    employees = app.extensions["service"].store
    for employee in list(employees.read_all()):
        employees.remove(employee.employee_id)
    return app.test_client()


@pytest.fixture(scope="session")
def runtime() -> OpenVinoRuntime:
    """The runtime as the service chooses it without a GPU."""
    return OpenVinoRuntime(MODELS_DIR / "converted")


@pytest.fixture(scope="session")
def dlib_model() -> FaceModel:
    """The face model that needs no download."""
    return Catalogue(MODELS_DIR).get("dlib")


@pytest.fixture(scope="session")
def detector(runtime: OpenVinoRuntime) -> FaceDetector:
    """The face detector with its defaults."""
    return FaceDetector(runtime)


@pytest.fixture(scope="session")
def recogniser(runtime: OpenVinoRuntime, dlib_model: FaceModel) -> Recogniser:
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


@pytest.fixture(scope="session")
def limited_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service behind a proxy, with low limits. Tests call from addresses of their own."""
    app = ready_app(
        tmp_path_factory.mktemp("limited"),
        address_requests_per_minute=40,
        login_failures=3,
        trusted_proxies=1,
        max_vectors_per_employee=2,
    )
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def limited(limited_app: Flask) -> FlaskClient:
    """A client of it."""
    return limited_app.test_client()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the counters of limits take for the time."""
    clock = Clock()
    monkeypatch.setattr(counters, "time", clock)
    return clock
