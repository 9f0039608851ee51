"""A stand-in for the liveness service: real HTTP, with verdicts and faults on demand."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Self

PATH = "/liveness_check"


class LivenessServer:
    """Answers `POST /liveness_check` as told; a context manager.

    asked: the bodies of all questions so far.
    """

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self._status = 200
        self._body = b""
        self._headers: Mapping[str, str] = {}
        self._go_on = Event()
        self._port = 0
        self.says(True)
        self.go_on()

    def says(self, result: object) -> None:
        """From now on answer `{"result": result}`."""
        self.answers(json.dumps({"result": result}))

    def answers(
        self, body: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """From now on answer this."""
        self._body, self._status, self._headers = body.encode(), status, headers or {}

    def hang(self) -> None:
        """From now on take questions, and answer none before `go_on`."""
        self._go_on.clear()

    def go_on(self) -> None:
        """Answer again."""
        self._go_on.set()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Meanwhile nobody listens."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.go_on()
        self._stop()

    def _start(self) -> None:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in._answer(self, body)

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.path != PATH:
            handler.send_error(404)
            return
        self.asked.append(json.loads(body))
        self._go_on.wait(20)
        handler.send_response(self._status)
        for name, value in self._headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self._body)
