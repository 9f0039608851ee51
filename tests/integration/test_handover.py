"""Which workers listen, and what their answers say, while others start, are ready or leave.

The workers are threads of the test's process, with one listening socket.
"""

import asyncio
import http.client
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import uvicorn

from app.server import Bounds
from app.server.adapter import Adapter
from app.server.connections import Connection, OpenConnections
from app.server.crew import Crew, State
from app.server.leaving import LeavingServer

DRAIN_S = 0.6


class Worker:
    """A worker whose answers are its number. is_loaded and the rest: as in `Served`."""

    def __init__(self, crew: Crew, listener: socket.socket, number: int) -> None:
        bounds = Bounds(4, 16, 5.0, 1000, 10_000, DRAIN_S)
        connections = OpenConnections(bounds.connections, bounds.timeout_s)

        def connection(*args: object, **options: object) -> Connection:
            return Connection(*args, open_connections=connections, **options)

        adapter = Adapter(self._answer, bounds, self)
        config = uvicorn.Config(adapter, http=connection, ws="none", log_config=None)  # type: ignore[arg-type]
        self.is_loaded = False
        self.has_left = self.has_stopped = False
        self._number = number
        self._server = LeavingServer(config, adapter, crew, number, DRAIN_S)
        crew.note(number, State.STARTING)
        self.thread = Thread(target=asyncio.run, args=[self._server.serve([listener.dup()])])
        self.thread.start()

    def leave(self) -> None:
        self.has_left = True

    def stop(self) -> None:
        self.has_stopped = True

    def terminate(self) -> None:
        """As SIGTERM does."""
        self._server.handle_exit(signal.SIGTERM, None)

    def end(self) -> None:
        """As SIGINT does."""
        self._server.should_exit = True
        self.thread.join(timeout=5)

    def _answer(
        self, environ: dict[str, object], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        content = str(self._number).encode()
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def workers(listener: socket.socket, count: int) -> Iterator[list[Worker]]:
    crew = Crew()
    made = [Worker(crew, listener, number) for number in range(1, count + 1)]
    try:
        yield made
    finally:
        for worker in made:
            worker.end()


def client(listener: socket.socket) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*listener.getsockname(), timeout=5)


def ask(connection: http.client.HTTPConnection) -> tuple[str, bool]:
    """The number of the worker that answers, and whether it closes the connection."""
    connection.request("GET", "/")
    response = connection.getresponse()
    return response.read().decode(), response.will_close


def who_answers(listener: socket.socket, seconds: float = 0.5) -> set[tuple[str, bool]]:
    """What new connections get from now on."""
    time.sleep(0.25)  # what a worker decides ten times a second
    until, seen = time.monotonic() + seconds, set()
    while time.monotonic() < until:
        seen.add(ask(client(listener)))
    return seen


def test_a_worker_listens_once_it_is_ready_if_another_serves(listener: socket.socket) -> None:
    with workers(listener, 2) as (first, second):
        first.is_loaded = True
        assert who_answers(listener) == {("1", False)}
        second.is_loaded = True
        first.terminate()
        assert who_answers(listener) == {("2", False)}


def test_without_a_ready_worker_the_others_say_so_themselves(listener: socket.socket) -> None:
    with workers(listener, 1):
        assert who_answers(listener) == {("1", True)}


def test_a_worker_stays_until_its_replacement_is_ready(listener: socket.socket) -> None:
    with workers(listener, 2) as (old, new):
        old.is_loaded = True
        time.sleep(0.25)
        old.terminate()
        assert who_answers(listener, DRAIN_S + 0.5) == {("1", False)}
        assert not old.has_left
        new.is_loaded = True
        assert who_answers(listener) == {("2", False)}
        old.thread.join(timeout=5)
        assert old.has_left
        assert old.has_stopped


def test_a_kept_connection_is_answered_and_closed(listener: socket.socket) -> None:
    with workers(listener, 1) as (old,):
        old.is_loaded = True
        time.sleep(0.25)
        kept = client(listener)
        assert ask(kept) == ("1", False)
        old.terminate()
        time.sleep(0.25)
        assert ask(kept) == ("1", True)


def test_workers_that_leave_together_go_on_listening(listener: socket.socket) -> None:
    with workers(listener, 2) as both:
        for worker in both:
            worker.is_loaded = True
        time.sleep(0.25)
        for worker in both:
            worker.terminate()
        assert {closes for _, closes in who_answers(listener, DRAIN_S / 4)} == {True}
        for worker in both:
            worker.thread.join(timeout=5)
            assert worker.has_stopped


def test_workers_that_start_together_can_be_stopped(listener: socket.socket) -> None:
    with workers(listener, 2) as both:
        time.sleep(0.25)
        for worker in both:
            worker.terminate()
        for worker in both:
            worker.thread.join(timeout=5)
            assert worker.has_stopped
