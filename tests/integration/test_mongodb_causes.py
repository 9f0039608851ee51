"""Why MongoDB cannot be used: each cause has a sentence of its own, for the operator."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from app.settings import Settings
from app.storage import StoreUnavailable
from app.storage.mongodb.store import MongoStore
from testbed import outages
from testbed.mongod import Mongod
from testbed.serving import free_port

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def cause(url: str, **settings: object) -> str:
    """Return the error message of a store that cannot be reached."""
    given = {"mongo_db_url": url, "mongo_db_timeout_s": 1.0} | settings
    with (
        closing(MongoStore(Settings.model_validate(given))) as store,
        pytest.raises(StoreUnavailable) as caught,
    ):
        store.count()
    return str(caught.value)


@contextmanager
def something_else(answer: bytes) -> Iterator[str]:
    """The address of a service that answers whatever it is sent like this, and hangs up."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return outages.certificate(tmp_path_factory.mktemp("tls"), "mongod")


@pytest.fixture(scope="module")
def with_tls(certificate: Path) -> Iterator[Mongod]:
    with Mongod(*outages.tls(certificate)) as mongod:
        yield mongod


def test_a_port_that_is_refused() -> None:
    address = f"127.0.0.1:{free_port()}"
    expected = f"nothing listens at {address} (MONGO_DB_URL): the connection is refused"
    assert cause(f"{address}/people") == expected


def test_a_host_that_is_not_known() -> None:
    assert cause("db.nowhere.invalid/people") == (
        "the host of db.nowhere.invalid:27017 (MONGO_DB_URL) cannot be resolved"
    )


def test_a_host_without_the_record_that_srv_needs() -> None:
    said = cause("db.nowhere.invalid/people", mongo_db_protocol="mongodb+srv")
    assert said.startswith("the host of the database (MONGO_DB_URL) cannot be found in DNS")
    assert "MONGO_DB_PROTOCOL" in said


@pytest.mark.mongod
def test_tls_to_a_server_without_tls_is_explained(mongod: Mongod) -> None:
    said = cause(f"{mongod.address}/people?tls=true")
    assert said.startswith(f"{mongod.address} (MONGO_DB_URL) does not speak TLS")


@pytest.mark.mongod
def test_no_tls_with_a_server_that_demands_it(with_tls: Mongod) -> None:
    said = cause(f"{with_tls.address}/people")
    assert said.startswith(f"{with_tls.address} (MONGO_DB_URL) closes the connection")
    assert "tls=true" in said


@pytest.mark.mongod
def test_a_certificate_that_is_not_trusted(with_tls: Mongod, certificate: Path) -> None:
    said = cause(f"{with_tls.address}/people?tls=true")
    assert said.startswith(f"the certificate of {with_tls.address} (MONGO_DB_URL) is not trusted")
    assert "tlsCAFile" in said
    other_name = f"localhost:{with_tls.port}/people?tls=true&tlsCAFile={certificate}"
    assert "certificate is not valid for 'localhost'" in cause(other_name)
    url = f"{with_tls.address}/people?tls=true&tlsCAFile={certificate}"
    with closing(MongoStore(Settings(mongo_db_url=url))) as store:
        assert store.count() == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HTTP, "does not answer as MongoDB does: it is another service"),
        (b"-ERR\r\n", "closes the connection: it may want TLS"),
        (b"", "closes the connection: it may want TLS"),
    ],
)
def test_another_service_on_the_port_is_reported(answer: bytes, expected: str) -> None:
    with something_else(answer) as address:
        assert cause(f"{address}/people").startswith(f"{address} (MONGO_DB_URL) {expected}")


@pytest.mark.mongod
def test_a_replica_set_that_is_called_otherwise(mongod_replica_set: Mongod) -> None:
    said = cause(f"{mongod_replica_set.address}/people?replicaSet=another")
    assert said == "no server is in the replica set that MONGO_DB_URL names (replicaSet)"


def test_of_several_servers_each_is_named() -> None:
    one, other = free_port(), free_port()
    said = cause(f"127.0.0.1:{one},127.0.0.1:{other}/people")
    assert f"127.0.0.1:{one} " in said
    assert f"127.0.0.1:{other} " in said
