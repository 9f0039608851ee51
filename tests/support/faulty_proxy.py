"""An HTTP server in front of the service that fails as a script says."""

import json
import socket
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import NamedTuple, Self

import requests

CUT = "cut"
"""Close the connection instead of forwarding the request."""
CUT_ANSWER = "cut answer"
"""Forward the request, and close the connection instead of answering."""

_KEPT = ("Content-Type", "ETag", "Location", "Retry-After", "X-Request-ID")


class Answer(NamedTuple):
    """What the proxy answers by itself."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Seen(NamedTuple):
    """A request that has arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def problem(status: int, code: str, retry_after_s: int | None = None) -> Answer:
    """An error as the service answers it."""
    body = {"title": "try again", "status": status, "code": code, "request_id": "r1"}
    headers = {"Content-Type": "application/problem+json"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return Answer(status, json.dumps(body).encode(), headers)


class FaultyProxy:
    """Forwards requests to `url`; a context manager.

    script: what to do with the next requests, in order, in place of forwarding.
    seen: all requests so far. most: how many were in progress at once.
    """

    def __init__(self, url: str = "") -> None:
        self.script: list[Answer | str] = []
        self.seen: list[Seen] = []
        self.most = 0
        self._now = 0
        self._lock = Lock()
        self._service = url
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline()
                self.close_connection = True
                if self.raw_requestline and self.parse_request():
                    proxy.handle(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request, or cut its connection."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        seen = Seen(request.command, request.path, dict(request.headers), body)
        with self._lock:
            self.seen.append(seen)
            self._now += 1
            self.most = max(self.most, self._now)
            step = self.script.pop(0) if self.script else None
        answer = step if isinstance(step, Answer) else None
        if step is None or step == CUT_ANSWER:
            answer = self._forward(seen)
        with self._lock:
            self._now -= 1
        if answer is None or step == CUT_ANSWER:
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer.body)

    def _forward(self, seen: Seen) -> Answer:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                seen.method, self._service + seen.path, headers=seen.headers, data=seen.body
            )
        headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        return Answer(answer.status_code, answer.content, headers)
