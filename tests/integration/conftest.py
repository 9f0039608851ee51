"""Fixtures of the tests of parts together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.settings import Settings
from app.storage import EmployeeStore
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY
from testbed.mongod import Mongod
from testbed.serving import ready_app
from tests.support.compreface import CompreFaceServer

OpenStore = Callable[[], EmployeeStore]


@pytest.fixture(
    params=[
        "sqlite",
        "sqlite, sealed",
        pytest.param("mongod", marks=pytest.mark.mongod),
        pytest.param("mongod, sealed", marks=pytest.mark.mongod),
        pytest.param("mongod_replica_set", marks=pytest.mark.mongod),
    ]
)
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kind of store that a test runs on."""
    kind: str = request.param
    return kind


@pytest.fixture
def open_store(
    request: pytest.FixtureRequest, store_kind: str, tmp_path: Path
) -> Iterator[OpenStore]:
    """Opens one more store on the test's own, at first empty, file or database."""
    kind, _, sealed = store_kind.partition(", ")
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
def store(open_store: OpenStore) -> EmployeeStore:
    """An empty store; the test runs once on each kind."""
    return open_store()


@pytest.fixture
def mongo_store(mongod: Mongod, database: str) -> Iterator[MongoStore]:
    """An empty store in MongoDB."""
    settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
    with closing(MongoStore(settings)) as store:
        yield store


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
def compreface() -> Iterator[CompreFaceServer]:
    with CompreFaceServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for people and their photos, which is not there yet."""
    return tmp_path / "people"
