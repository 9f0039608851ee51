"""Clients that send slowly, not at all, or no HTTP, over real sockets, beside one who is served."""

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.serving import RunningService
from tests.support.features import random_vector

RECEIVE_S = 5
THREADS = 4
SLOW = 60
QUICK_S = RECEIVE_S - 1  # less than a stalled client may take, on cores that others use, too
ENROLMENT = json.dumps({"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Few threads, and little patience."""
    limits = {"MAX_BODY_MB": "8", "MAX_RECEIVED_MB": "16", "RECEIVE_TIMEOUT_S": str(RECEIVE_S)}
    folder = tmp_path_factory.mktemp("slow")
    with RunningService(folder, THREADS=str(THREADS), **limits) as running:
        yield running


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def answer(client: socket.socket) -> str:
    """All that is sent until the service closes the connection."""
    received = b""
    while part := client.recv(65536):
        received += part
    return received.decode()


def first_answer(client: socket.socket) -> bytes:
    """What is sent on a connection that stays open, up to the end of /healthz's answer."""
    received = b""
    while not received.endswith(b"}\n") and (part := client.recv(1000)):
        received += part
    return received


def head(length: object = None, *more: str) -> bytes:
    lines = ["POST /api/store/1 HTTP/1.1", "Host: x", "Content-Type: application/json", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


def ask(service: RunningService) -> float:
    """Return the seconds until the service answers a request that takes no slot."""
    began = time.perf_counter()
    assert service.call("GET", "/readyz").status_code == 200
    return time.perf_counter() - began


STALLS = {
    "nothing": b"",
    "half a request line": b"POST /api/sto",
    "half a head": head()[:-2],
    "no body": head(1000),
    "half a body": head(1000) + b"{" * 500,
    "chunks without end": head(None, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
    "half a chunk": head(None, "Transfer-Encoding: chunked") + b"FFFFF\r\nhello",
    "trailers without end": head(None, "Transfer-Encoding: chunked") + b"0\r\nA: b\r\n",
}


@pytest.mark.timed
def test_stalled_clients_block_nobody_and_get_408(service: RunningService) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        clients = []
        for number in range(SLOW):
            client = stack.enter_context(connect(service))
            client.sendall(list(STALLS.values())[number % len(STALLS)])
            clients.append(client)
        waits = [ask(service) for _ in range(20)]
        assert max(waits) < QUICK_S
        for number, client in enumerate(clients):
            said = answer(client)
            kind = list(STALLS)[number % len(STALLS)]
            if kind == "nothing":
                assert said == ""
            else:
                assert said.startswith("HTTP/1.1 408 "), kind
                assert said.endswith(f"the request did not arrive within {RECEIVE_S} seconds")
        assert RECEIVE_S - 1 < time.monotonic() - began < RECEIVE_S + 10


def test_sending_slowly_does_not_extend_the_deadline(service: RunningService) -> None:
    """A byte now and then is not progress: the deadline is for the whole request."""
    began = time.monotonic()
    with connect(service) as header, connect(service) as body:
        header.sendall(head()[:-2])
        body.sendall(head(10**6))
        try:
            while time.monotonic() - began < RECEIVE_S + 20:
                header.sendall(b"A: b\r\n")
                body.sendall(b" ")
                time.sleep(0.2)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert RECEIVE_S - 1 < time.monotonic() - began < RECEIVE_S + 10


def test_a_slow_but_whole_request_is_answered(service: RunningService) -> None:
    with connect(service) as client:
        request = head(len(ENROLMENT), "Connection: close") + ENROLMENT.encode()
        for at in range(0, len(request), len(request) // 20):
            client.sendall(request[at : at + len(request) // 20])
            time.sleep(0.05)
        assert "200 OK" in answer(client)
    assert service.call("DELETE", "/api/1").status_code == 200


@pytest.mark.parametrize("piece", [1, 7, 100, 10_000])
def test_chunks_of_any_size_are_put_together(service: RunningService, piece: int) -> None:
    body = ENROLMENT[:900] if piece == 1 else ENROLMENT
    chunks = [body[at : at + piece] for at in range(0, len(body), piece)]
    framed = "".join(f"{len(chunk):x};a=b\r\n{chunk}\r\n" for chunk in chunks)
    framed += "0\r\nX-Note: x\r\n\r\n"
    with connect(service) as client:
        close = ("Transfer-Encoding: chunked", "Connection: close")
        request = head(None, *close) + framed.encode()
        client.sendall(request[:150])
        time.sleep(0.05)
        client.sendall(request[150:])
        said = answer(client)
    assert ("not valid JSON" if piece == 1 else "200 OK") in said
    if piece > 1:
        service.call("DELETE", "/api/1")


def test_many_tiny_chunks_are_refused(service: RunningService) -> None:
    with connect(service) as client:
        client.sendall(head(None, "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 50_000)
        said = answer(client)
    assert said.startswith("HTTP/1.1 400 ")
    assert said.endswith("the body comes in too many small chunks")


def test_a_chunked_body_larger_than_the_limit(service: RunningService) -> None:
    with connect(service) as client:
        client.sendall(head(None, "Transfer-Encoding: chunked"))
        block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        try:
            for _ in range(20):
                client.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            return
        assert "HTTP/1.1 413 " in answer(client)


def test_a_declared_body_larger_than_the_limit_is_not_waited_for(service: RunningService) -> None:
    began = time.monotonic()
    with connect(service) as client:
        client.sendall(head(8_000_001))
        said = answer(client)
    assert "HTTP/1.1 413 " in said
    assert said.endswith("the request is larger than 8 MB")
    assert time.monotonic() - began < QUICK_S


def test_expect_100_continue_is_answered(service: RunningService) -> None:
    with connect(service) as client:
        client.sendall(head(len(ENROLMENT), "Expect: 100-continue", "Connection: close"))
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(ENROLMENT.encode())
        assert "200 OK" in answer(client)
    assert service.call("DELETE", "/api/1").status_code == 200


@pytest.mark.timed
def test_bodies_that_never_end_share_a_budget(service: RunningService) -> None:
    """Who has been sending for longer than two seconds makes room for others."""
    half = head(7_000_000) + b" " * 6_900_000
    with connect(service) as one, connect(service) as two, connect(service) as three:
        one.sendall(half)
        two.sendall(half)
        time.sleep(0.5)
        three.sendall(half)  # at once: there is no room, and nobody is slow yet
        said = answer(three)
        assert said.startswith("HTTP/1.1 503 ")
        assert "retry-after: 5" in said
        time.sleep(2)
        with connect(service) as four:
            four.sendall(half + b" " * 100_000)
            assert "HTTP/1.1 400 " in four.recv(1000).decode()
        assert "HTTP/1.1 503 " in answer(one)


@pytest.mark.timed
def test_a_client_that_never_reads_does_not_block_others(service: RunningService) -> None:
    """gunicorn's own worker waits two seconds for each of these, in its only event loop."""
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connect(service))
            client.sendall(b"GET /api/get_all/30/1 HTTP/1.0\r\n\r\n")
        waits = [ask(service) for _ in range(10)]
    assert max(waits) < QUICK_S


def test_connections_that_idle_make_room(service: RunningService) -> None:
    """More connections than are taken: new ones are still served."""
    with ExitStack() as stack:
        for number in range(560):
            client = stack.enter_context(connect(service))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" if number % 2 else b"G")
        time.sleep(2.2)
        waits = [ask(service) for _ in range(10)]
    assert max(waits) < QUICK_S


NO_HTTP = {
    "bytes": os.urandom(2_000) + b"\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a long line": b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
    "long headers": b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "two lengths": head(2, "Content-Length: 3") + b"{}",
    "two lengths in one": head("2, 3") + b"{}",
    "a negative length": head(-1),
    "a signed length": head("+2") + b"{}",
    "length and coding": head(2, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "an unknown coding": head(None, "Transfer-Encoding: gzip") + b"{}",
    "two codings": head(None, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "a hidden coding": head(None, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "a space before the colon": head(None, "Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "a chunk without a size": head(None, "Transfer-Encoding: chunked") + b"xyz\r\n\r\n",
    "a negative chunk": head(None, "Transfer-Encoding: chunked") + b"-5\r\nhello\r\n",
    "a chunk that is longer": head(None, "Transfer-Encoding: chunked") + b"1\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", NO_HTTP)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    service: RunningService, kind: str
) -> None:
    """Nothing behind it is taken for a request: that is what smuggling needs."""
    began = time.monotonic()
    with connect(service) as client:
        client.sendall(NO_HTTP[kind] + b"DELETE /api/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        said = answer(client)
    assert said[:12] in ("HTTP/1.1 400", "HTTP/1.1 414", "HTTP/1.1 431")
    assert said.count("HTTP/1.1 ") == 1
    assert "Traceback" not in said
    assert time.monotonic() - began < QUICK_S


def test_pipelined_requests_are_answered_in_turn_and_garbage_ends_them(
    service: RunningService,
) -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(service) as client:
        client.sendall(good * 10 + os.urandom(500) + b"\r\n\r\n" + good * 10)
        client.shutdown(socket.SHUT_WR)
        said = answer(client)
    assert said.count("HTTP/1.1 200 OK") == 10
    assert said.count("HTTP/1.1 ") == 10
    assert ask(service) < QUICK_S


def test_a_client_that_sends_far_ahead_is_cut_off(service: RunningService) -> None:
    """What it is owed would take memory, and it reads none of it."""
    with connect(service) as client:
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 400)
        try:
            said = answer(client)
        except ConnectionResetError:
            said = ""
    assert said.count("HTTP/1.1 ") < 400
    assert ask(service) < QUICK_S


def test_half_a_pipelined_request_is_waited_for(service: RunningService) -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(service) as client:
        client.sendall(good + good[:20])
        assert b"200 OK" in first_answer(client)
        assert ask(service) < QUICK_S
        client.sendall(good[20:])
        assert b"200 OK" in first_answer(client)


def test_clients_that_hang_up_leave_nothing_behind(service: RunningService) -> None:
    """While the app works for them; later ones are still taken and let go."""
    reset = struct.pack("ii", 1, 0)
    for _ in range(300):
        with connect(service) as client:
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    (worker,) = service.workers()
    deadline = time.monotonic() + 10
    while sum(map(is_socket, Path(f"/proc/{worker}/fd").iterdir())) >= 40:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ask(service) < QUICK_S


def is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:  # it is closed already
        return False


def test_line_ends_between_requests_keep_no_connection_open(service: RunningService) -> None:
    began = time.monotonic()
    with connect(service) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in first_answer(client)
        client.sendall(b"\r\n")
        assert answer(client) == ""
    assert time.monotonic() - began < 8


def test_trailers_are_no_headers(tmp_path: Path) -> None:
    """Behind a proxy, a caller could choose the address that is believed, or send a key."""
    forwarded = ("Transfer-Encoding: chunked", "X-Forwarded-For: 192.0.2.1", "Connection: close")
    body = b"2\r\n{}\r\n0\r\nX-Forwarded-For: 198.51.100.7\r\nX-Request-ID: mine\r\n\r\n"
    audit = tmp_path / "audit.log"
    with RunningService(tmp_path, TRUSTED_PROXIES="1", AUDIT_LOG=str(audit)) as proxied:
        with connect(proxied) as client:
            client.sendall(b"DELETE /api/1 HTTP/1.1\r\nHost: x\r\n")
            client.sendall("\r\n".join((*forwarded, "", "")).encode() + body)
            said = answer(client)
        assert "200 OK" in said
        assert "x-request-id: mine" not in said
        entry = json.loads(audit.read_text().splitlines()[-1])
    assert entry["address"] == "192.0.2.1"


def test_the_service_ends_though_clients_are_connected(tmp_path: Path) -> None:
    with RunningService(tmp_path) as ending, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connect(ending))
        idle = stack.enter_context(connect(ending))
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in idle.recv(1000)
        began = time.monotonic()
        assert ending.stop() == 0
        assert time.monotonic() - began < 8


def test_slow_clients_leave_no_traceback_in_the_log(service: RunningService) -> None:
    """Runs last: the log of all of the above."""
    assert "Traceback" not in service.log
    assert ask(service) < QUICK_S
