"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, in JSON."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from tests.support.waiting import eventually

Span = dict[str, Any]


class Collector:
    """Keeps what it is sent; a context manager. status: what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.messages: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> Iterator[Span]:
        """All spans so far."""
        for message in self.messages:
            for resource in message["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    yield from scope["spans"]

    def wait(self, name: str, count: int = 1) -> list[Span]:
        """The spans of that name, when there are so many."""

        def found() -> list[Span]:
            spans = [span for span in self.spans() if span["name"] == name]
            return spans if len(spans) >= count else []

        return eventually(found)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                collector.paths.append(self.path)
                if collector.status == 200:
                    collector.messages.append(json.loads(body))
                self.send_response(collector.status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Keep the output clean."""

        return Handler
