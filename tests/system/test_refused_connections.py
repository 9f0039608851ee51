"""What the service says to clients that it refuses before the app sees a request."""

import re
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.serving import RunningService

ORIGIN = "https://frontend.example"
FEW_FILES = 400
POST = b"POST /api/find_match HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    limits = {"MAX_BODY_MB": "1", "RECEIVE_TIMEOUT_S": "1", "LOG_LEVEL": "info"}
    with RunningService(tmp_path_factory.mktemp("front"), CORS_ORIGINS=ORIGIN, **limits) as running:
        yield running


def said(service: RunningService, data: bytes) -> str:
    """All that the service answers, in small letters."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(data)
        received = b""
        while part := client.recv(65536):
            received += part
    return received.decode().lower()


FROM = b"Origin: " + ORIGIN.encode() + b"\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
REFUSED = {
    "408": POST + FROM + b"Content-Length: 100\r\n\r\n{",
    "413": POST + FROM + b"Content-Length: 1000001\r\n\r\n",
    "414": GET.replace(b"healthz", b"a" * 10_000) + FROM + b"\r\n",
    "431": GET + FROM + b"Cookie: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_an_answer_like_any_other(service: RunningService, status: str) -> None:
    """A browser's page may read it, the log has it, and a client finds it there by its id."""
    answer = said(service, REFUSED[status])
    assert answer.startswith(f"http/1.1 {status} ")
    assert f"access-control-allow-origin: {ORIGIN}" in answer
    request_id = re.search(r"x-request-id: (\w+)", answer)
    assert request_id
    (line,) = [line for line in service.log.splitlines() if request_id[1] in line]
    assert f"status={status}" in line


def test_json_is_preferred_for_a_refusal_too(service: RunningService) -> None:
    answer = said(service, POST + b"Accept: application/json\r\nContent-Length: 1000001\r\n\r\n")
    assert "application/problem+json" in answer
    assert '"code": "body_too_large"' in answer


def test_malformed_http_is_logged_with_its_request_id(service: RunningService) -> None:
    answer = said(service, b"hello\r\n\r\n")
    request_id = re.search(r"x-request-id: (\w+)", answer)
    assert request_id
    (line,) = [line for line in service.log.splitlines() if request_id[1] in line]
    assert "address=127.0.0.1" in line
    assert "the request is malformed" in line


def test_tls_on_the_plain_port_is_told_so(service: RunningService) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
    assert said(service, hello).endswith("this port speaks plain http, not tls: use http://")
    assert "this port speaks plain HTTP" in service.log


def test_a_large_body_is_read_to_its_end_so_that_its_sender_sees_the_answer(
    service: RunningService,
) -> None:
    answer = service.call("POST", "/api/find_match", data=bytes(20_000_000))
    assert (answer.status_code, answer.text) == (413, "the request is larger than 1 MB")


def test_with_few_file_descriptors_others_are_still_served(tmp_path: Path) -> None:
    """Connections beyond what they allow take the place of silent ones."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = ("prlimit", f"--nofile={FEW_FILES}")
    with RunningService(tmp_path, wrapper=few, LOG_LEVEL="info") as service, ExitStack() as stack:
        assert most[0] > FEW_FILES + 100
        for _ in range(FEW_FILES + 50):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", service.port))
        for _ in range(10):
            assert service.call("GET", "/healthz", timeout=2).status_code == 200


def test_a_start_that_fails_says_why_and_nothing_else(tmp_path: Path) -> None:
    database = tmp_path / "employees.db"
    database.write_bytes(b"no database" * 1000)
    with RunningService(tmp_path, ready=False, LOG_LEVEL="info") as service:
        service.process.wait(timeout=30)
    lines = service.log.splitlines()
    assert "Cannot start: the SQLite file" in lines[-1]
    assert not [line for line in lines if "Worker" in line or "Reason" in line]
