"""The liveness client fails closed, in time, whatever the service does; over real sockets."""

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import Thread

import pytest

from app.liveness.breaker import Breaker
from app.liveness.client import LivenessClient, LivenessUnavailable, Timeouts
from testbed.serving import free_port
from tools.liveness_faults import FAULTS
from tools.liveness_service import LivenessService

FRAMES = [b"frame"] * 15
QUICK = Timeouts(total_s=1, connect_s=0.5, read_s=0.6, retries=2)
PATIENT = Timeouts(total_s=20, connect_s=1, read_s=4, retries=2)


@pytest.fixture
def service() -> Iterator[LivenessService]:
    with LivenessService() as service:
        yield service


@contextmanager
def client_of(
    service: LivenessService | str, timeouts: Timeouts = QUICK, **more: str
) -> Iterator[LivenessClient]:
    url = service if isinstance(service, str) else service.url
    with closing(LivenessClient(url, timeouts, **more)) as client:
        yield client


def asks(client: LivenessClient) -> bool | str:
    """The verdict, or why there is none."""
    try:
        return client.ask(FRAMES).result(30)
    except LivenessUnavailable as error:
        return str(error)


AWAY = "the liveness service is unavailable, try again"
UNCLEAR = "the liveness service gave no clear answer, try again"


@pytest.mark.parametrize("verdict", [True, False])
def test_the_client_returns_the_verdict(service: LivenessService, verdict: bool) -> None:
    service.says(verdict)
    with client_of(service) as client:
        assert asks(client) is verdict


@pytest.mark.parametrize("fault", list(FAULTS))
def test_no_fault_gives_a_verdict_or_exceeds_the_timeout(
    service: LivenessService, fault: str
) -> None:
    service.told(fault=fault)
    with client_of(service) as client:
        began = time.monotonic()
        assert asks(client) in (AWAY, UNCLEAR)
        assert time.monotonic() - began < QUICK.total_s + 1  # and what a busy machine adds
        service.told(rule="alive")
        assert asks(client) is True


def test_a_gigabyte_is_not_read(service: LivenessService) -> None:
    service.told(fault="a gigabyte")
    with client_of(service) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert asks(client) == UNCLEAR
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 50_000


def test_a_refused_connection_gives_no_verdict() -> None:
    with client_of(f"http://127.0.0.1:{free_port()}") as client:
        assert asks(client) == AWAY


def test_an_unknown_host_gives_no_verdict() -> None:
    with client_of("http://liveness.invalid") as client:
        assert asks(client) == AWAY


def test_no_service_is_set_up() -> None:
    with pytest.raises(LivenessUnavailable, match="LIVENESS_SERVICE_URL") as caught:
        LivenessClient(None, QUICK).ask(FRAMES)
    assert not caught.value.again


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        *((fault, 3) for fault in ("503", "502", "504", "reset", "answer cut off")),
        *((fault, 1) for fault in ("500", "401", "HTML", "a string", "redirect", "slow")),
    ],
)
def test_only_what_decided_nothing_at_once_is_asked_again(
    service: LivenessService, fault: str, attempts: int
) -> None:
    service.told(fault=fault)
    with client_of(service) as client:
        asks(client)
    assert len(service.asked) == attempts


def test_a_second_attempt_may_succeed(service: LivenessService) -> None:
    service.told(fault="503")
    with client_of(service, replace(PATIENT, retries=8)) as client:
        question = client.ask(FRAMES)
        while len(service.asked) < 2:
            time.sleep(0.01)
        service.told(rule="alive")
        assert question.result(30) is True


def test_a_verdict_against_is_asked_once(service: LivenessService) -> None:
    service.told(rule="dead")
    with client_of(service) as client:
        assert asks(client) is False
    assert len(service.asked) == 1


def test_each_question_has_a_connection_of_its_own(service: LivenessService) -> None:
    with client_of(service, PATIENT) as client, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: asks(client), range(40))) == [True] * 40
    assert service.connections == 40


# Services that do not keep to question and answer, by what they do with a connection.


def answer(result: bool) -> bytes:
    body = json.dumps({"result": result}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def hear(connection: socket.socket) -> None:
    """Read a question to its end."""
    head, _, body = connection.makefile("rb").read1(1 << 16).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while length > len(body):
        body += connection.recv(1 << 16)


@contextmanager
def talking(*talks: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a service that treats the first connection so, the second one so, and so on."""

    def serve(connection: socket.socket, talk: Callable[[socket.socket], None]) -> None:
        with suppress(OSError, ValueError), connection:  # nobody asked, or no longer
            talk(connection)

    def listen() -> None:
        with suppress(OSError):
            for talk in talks:
                connection, _ = listener.accept()
                Thread(target=serve, args=(connection, talk), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("pause_s", [0, 0.1])
def test_an_answer_that_comes_twice_answers_no_other_question(pause_s: float) -> None:
    def twice(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(answer(True))
        time.sleep(pause_s)
        connection.sendall(answer(True))
        hear(connection)
        connection.sendall(answer(False))

    def dead(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(answer(False))

    with talking(twice, dead) as url, client_of(url) as client:
        asks(client)
        time.sleep(2 * pause_s)
        assert asks(client) is False


def test_an_early_answer_is_not_a_verdict() -> None:
    def eager(connection: socket.socket) -> None:
        connection.sendall(answer(True))
        hear(connection)

    with talking(eager) as url, client_of(url) as client:
        large = [b"frame" * 200_000] * 15
        with pytest.raises(LivenessUnavailable, match=UNCLEAR):
            client.ask(large).result(30)


def test_provisional_answers_are_passed_over() -> None:
    def talk(connection: socket.socket) -> None:
        hear(connection)
        for status in ("100 Continue", "103 Early Hints"):
            connection.sendall(b"HTTP/1.1 %s\r\nX-Result: true\r\n\r\n" % status.encode())
        connection.sendall(answer(False))

    with talking(talk) as url, client_of(url) as client:
        assert asks(client) is False


def test_what_follows_a_provisional_answer_is_no_verdict() -> None:
    def talk(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + b'{"result": true}')

    with talking(*[talk] * 3) as url, client_of(url) as client:
        assert asks(client) in (AWAY, UNCLEAR)


def test_bytes_beyond_the_answer_are_no_part_of_it() -> None:
    def talk(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(answer(True) + b', "result": false}')

    with talking(*[talk] * 3) as url, client_of(url) as client:
        assert asks(client) in (AWAY, UNCLEAR)


def test_an_unreachable_service_is_not_called_for_a_while(service: LivenessService) -> None:
    service.told(fault="slow")
    with client_of(service, replace(PATIENT, total_s=0.3)) as client:
        while len(service.asked) < 5:
            assert asks(client) == AWAY
        began = time.monotonic()
        assert asks(client) == AWAY
        assert time.monotonic() - began < 0.3
        assert len(service.asked) == 5
        service.told(rule="alive")
        deadline = time.monotonic() + 20
        while asks(client) is not True:  # it is tried again after a while
            assert time.monotonic() < deadline
            time.sleep(0.1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_successful_trial_allows_calls_again() -> None:
    clock = Clock()
    breaker = Breaker(failures=2, pause_s=10, clock=clock)
    for _ in range(2):
        assert breaker.allows()
        breaker.note(reachable=False)
    assert not breaker.allows()
    clock.now = 10.5
    assert breaker.allows()  # the trial
    assert not breaker.allows()  # everybody else meanwhile
    breaker.note(reachable=False)
    clock.now = 20
    assert not breaker.allows()
    clock.now = 21
    assert breaker.allows()
    breaker.note(reachable=True)
    assert breaker.allows()
    assert breaker.allows()


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "Basic bWU6czNjcmV0"])
def test_credentials_are_sent_and_never_logged(
    service: LivenessService,
    authorization: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    with client_of(service, authorization=authorization) as client:
        assert asks(client) is True
        assert service.headers["Authorization"] == authorization
        for fault in ("503", "HTML", "redirect"):
            service.told(fault=fault)
            asks(client)
    told = caplog.text + "".join(capsys.readouterr())
    assert authorization.split()[1] not in told


def test_a_redirect_takes_no_secret_elsewhere(service: LivenessService) -> None:
    with LivenessService() as elsewhere:
        service.answers("", 307, {"Location": elsewhere.url + "/liveness_check"})
        with client_of(service, authorization="Bearer s3cret") as client:
            assert asks(client) == UNCLEAR
        assert elsewhere.asked == []
