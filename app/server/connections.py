"""The connections of a worker, with bounds on what a stranger may send before anybody is asked.

uvicorn's protocol, and llhttp beneath it, parse the bytes. They set no limit to how long a client
takes, to how large a head is, or to how many clients there are.
"""

import asyncio
from http import HTTPStatus
from time import monotonic
from typing import Any, Literal
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server import Refusal

log = structlog.get_logger()

SILENT_S = 5.0  # for the first byte; browsers open connections ahead of their requests
LONGEST_TARGET = 8 << 10
LONGEST_HEAD, MOST_FIELDS = 64 << 10, 100
_SPARE = 64 << 10  # bytes of framing, in addition to as many as the body has
_AHEAD = 16  # requests that a client may send before it has the answer to the first
_SLOW_S = 2.0  # a client that has been waited for longer than this makes room for others
_TLS = 0x16  # begins a TLS handshake, and no request

_TARGET_TOO_LONG = Refusal(414, "target_too_long", "the address is too long")
_HEAD_TOO_LARGE = Refusal(
    431,
    "head_too_large",
    f"the headers are larger than {LONGEST_HEAD >> 10} kB, or more than {MOST_FIELDS}",
)
_TOO_SLOW = Refusal(408, "too_slow", "the request did not come in within {:g} seconds")
_MALFORMED = Refusal(400, "bad_request", "the request is malformed")
_TOO_MANY_CHUNKS = Refusal(400, "bad_request", "the body comes in too many small chunks")
_SPEAKS_TLS = Refusal(400, "bad_request", "this port speaks plain HTTP, not TLS: use http://")


class Crowd:
    """The connections that wait for their clients, in the order in which they began to.

    most: connections that may be open. patience_s: for a head, as `Bounds` has it.
    """

    def __init__(self, most: int, patience_s: float) -> None:
        self.patience_s = patience_s
        self._most = most
        self._open = 0
        self._quiet: dict[Connection, None] = {}  # no whole head is here
        self._slow: dict[Connection, float] = {}  # a body comes in, or an answer goes out

    def add(self, connection: "Connection") -> None:
        """Let a connection in. If there are too many, the one goes that others miss least."""
        self._open += 1
        if self._open > self._most:
            quiet, slow = next(iter(self._quiet), None), next(iter(self._slow), None)
            if slow and monotonic() - self._slow[slow] < _SLOW_S:
                slow = None
            (quiet or slow or connection).abort()
        self.is_quiet(connection)

    def is_quiet(self, connection: "Connection") -> None:
        """The connection waits for a request."""
        self.is_busy(connection)
        self._quiet[connection] = None

    def is_slow(self, connection: "Connection") -> None:
        """The connection waits until its client has sent the body, or has taken the answer."""
        self.is_busy(connection)
        self._slow[connection] = monotonic()

    def is_busy(self, connection: "Connection") -> None:
        """The connection waits for us."""
        self._quiet.pop(connection, None)
        self._slow.pop(connection, None)

    def remove(self, connection: "Connection") -> None:
        """The connection is closed."""
        self.is_busy(connection)
        self._open -= 1


class Connection(HttpToolsProtocol):
    """One connection. The ASGI app finds it in `scope["state"]`, with the request's deadline."""

    def __init__(self, *args: Any, crowd: Crowd, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self.crowd = crowd
        self._timer: asyncio.TimerHandle | None = None
        self._first_byte: int | None = None
        self._is_over = False
        # of the request that comes in: bytes after its first piece, of its head, and of its body
        self._arrived = self._head = self._fields = self._body = 0
        self._part: Literal["head", "body"] | None = None

    # What the event loop calls:

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # then a writer waits until the client has taken everything
        transport.set_write_buffer_limits(high=0)
        self._give_time(SILENT_S)
        self.crowd.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_time(None)
        self.crowd.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._first_byte is None:
            self._first_byte = data[0]
        self._arrived += len(data)
        super().data_received(data)
        if self._part == "head" and self._arrived > 2 * LONGEST_HEAD:
            self._refuse(_HEAD_TOO_LARGE)
        if self._part == "body" and self._arrived - self._body > _SPARE + self._body:
            self._refuse(_TOO_MANY_CHUNKS)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open: a client that sends no more still gets its answers."""
        cycle = self.cycle
        if self._part or cycle is None or cycle.response_complete:
            return False
        self._is_over = True
        cycle.keep_alive = False
        return True

    # What llhttp calls:

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _AHEAD:
            self.abort()
            raise ConnectionAbortedError
        super().on_message_begin()
        self._arrived = self._head = self._fields = self._body = 0
        self._part = "head"
        self.scope["state"]["connection"] = self
        self.scope["state"]["deadline"] = self.loop.time() + self.crowd.patience_s
        self._give_time(self.crowd.patience_s)

    def on_url(self, url: bytes) -> None:
        if b"#" in url:  # no part of a request (RFC 9112, 3.2), and uvicorn would drop it
            raise ValueError("a fragment")
        room = LONGEST_TARGET - len(self.url)
        if len(url) > room:
            self.scope["state"]["refusal"] = _TARGET_TOO_LONG
        super().on_url(url[:room])

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        self._fields += 1
        if self._head > LONGEST_HEAD or self._fields > MOST_FIELDS:
            self.scope["state"]["refusal"] = _HEAD_TOO_LARGE
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._part = "body"
        self._give_time(None)
        self.crowd.is_slow(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._part = None
        super().on_message_complete()

    # What uvicorn and the adapter call:

    def on_response_complete(self) -> None:
        self.crowd.is_quiet(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_SPEAKS_TLS if self._first_byte == _TLS else _MALFORMED)

    def abort(self) -> None:
        """Close the connection at once, whatever is under way."""
        self._is_over = True
        self.transport.abort()

    def _give_time(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        if self._first_byte is None:
            self.abort()
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that the app does not get to see, and close."""
        if self._is_over:
            return
        self._is_over = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # the requests before this one are answered, no more
                self._part = None
                return
            if cycle.response_started or self.pipeline:
                self.abort()
                return
        request_id = uuid4().hex
        sentence = refusal.sentence.format(self.crowd.patience_s)
        log.info(
            "request refused",
            request_id=request_id,
            status=refusal.status,
            reason=sentence,
            address=self.client and self.client[0],
        )
        self.transport.write(
            f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(sentence)}\r\n"
            f"X-Request-ID: {request_id}\r\nConnection: close\r\n\r\n{sentence}".encode()
        )
        self.transport.close()
