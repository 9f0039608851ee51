"""The connections of a worker, with limits on what a client may send before access is checked.

uvicorn's protocol parses the bytes with llhttp. Neither limits how long a client takes, how large
the head of a request is, or how many connections are open.
"""

import asyncio
from http import HTTPStatus
from time import monotonic
from typing import Any, Literal
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server import MALFORMED, SLOW_S, Refusal

log = structlog.get_logger()

_SILENCE_S = 5.0  # before the first byte; browsers open connections ahead of their requests
_LAST_S = 1.0  # for a request whose first bytes are on their way when the worker ends
_MAX_TARGET = 8 << 10  # bytes, about as many as Apache and nginx allow
_MAX_HEAD, _MAX_FIELDS = 64 << 10, 100  # bytes, and number of header fields
_MAX_FRAMING = 64 << 10  # bytes of chunked framing, in addition to one for each byte of the body
_MAX_PIPELINED = 16  # requests that wait for the answer to an earlier one
_MAX_PIPELINED_BODY = 16 << 10  # bytes of such a request's body, which no budget covers yet
_TLS_HANDSHAKE = 0x16  # first byte of a TLS connection, which begins no HTTP request

_TARGET_TOO_LONG = Refusal(414, "target_too_long", "the address is too long")
_HEAD_TOO_LARGE = Refusal(
    431,
    "head_too_large",
    f"the headers exceed {_MAX_HEAD >> 10} kB or {_MAX_FIELDS} fields",
)
_TOO_SLOW = Refusal(408, "too_slow", "the request did not arrive within {:g} seconds")
_TOO_MANY_CHUNKS = Refusal(400, "bad_request", "the body comes in too many small chunks")
_SPEAKS_TLS = Refusal(400, "bad_request", "this port speaks plain HTTP, not TLS: use http://")


class OpenConnections:
    """The open connections of a worker, which closes one if there are too many.

    limit: how many may be open. timeout_s: seconds in which a request must arrive.
    """

    def __init__(self, limit: int, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._limit = limit
        self._all: set[Connection] = set()
        # Those that wait for their client, the longest wait first. Idle: no complete head has
        # arrived. Transferring: a body is arriving, or an answer is being sent, since then.
        self._idle: dict[Connection, None] = {}
        self._transferring: dict[Connection, float] = {}

    def add(self, connection: "Connection") -> None:
        """Add a connection. If there are too many, close the one that has waited longest."""
        self._all.add(connection)
        if len(self._all) > self._limit:
            idle, slow = next(iter(self._idle), None), next(iter(self._transferring), None)
            if slow and monotonic() - self._transferring[slow] < SLOW_S:
                slow = None
            (idle or slow or connection).abort()
        self.mark_idle(connection)

    def mark_idle(self, connection: "Connection") -> None:
        """Note that the connection waits for a request."""
        self.mark_busy(connection)
        if connection in self._all:
            self._idle[connection] = None

    def mark_transferring(self, connection: "Connection") -> None:
        """Note that the connection waits for its client to send a body or to take an answer."""
        self.mark_busy(connection)
        if connection in self._all:
            self._transferring[connection] = monotonic()

    def mark_busy(self, connection: "Connection") -> None:
        """Note that the connection waits for the app."""
        self._idle.pop(connection, None)
        self._transferring.pop(connection, None)

    def remove(self, connection: "Connection") -> None:
        """Remove a closed connection."""
        self.mark_busy(connection)
        self._all.discard(connection)


class Connection(HttpToolsProtocol):
    """A connection, which the ASGI app finds in `scope["state"]`, with the request's deadline."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        open_connections: OpenConnections,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **options)
        self.open_connections = open_connections
        self._timer: asyncio.TimerHandle | None = None
        self._first_byte: int | None = None
        self._is_closing = False
        # Of the request that is arriving: bytes after its first piece, bytes of header fields and
        # their number, bytes of the body, and the part that is expected next.
        self._received = self._head = self._fields = self._body = 0
        self._part: Literal["head", "body"] | None = None

    # Called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Writing then waits until the client has taken everything.
        transport.set_write_buffer_limits(high=0)
        self._set_timeout(_SILENCE_S)
        self.open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timeout(None)
        self.open_connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        if self._first_byte is None:
            self._first_byte = data[0]
        self._received += len(data)
        super().data_received(data)
        if self._part is None and self._timer is None and self._all_answered():
            # Line ends between requests begin no request, but have stopped the keep-alive timer.
            self._set_timeout(_SILENCE_S)
        if self._part == "head" and self._received > 2 * _MAX_HEAD:
            self._refuse(_HEAD_TOO_LARGE)
        if self._part == "body" and self._received - self._body > _MAX_FRAMING + self._body:
            self._refuse(_TOO_MANY_CHUNKS)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to stay open: a client that has sent everything still gets its answers."""
        if self._part or self._all_answered():
            return False
        self._is_closing = True
        self.cycle.keep_alive = False
        return True

    # Called by llhttp

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED:
            self.abort()
            raise ConnectionAbortedError
        super().on_message_begin()
        self._received = self._head = self._fields = self._body = 0
        self._part = "head"
        self.scope["state"]["connection"] = self
        self.scope["state"]["deadline"] = self.loop.time() + self.open_connections.timeout_s
        self._set_timeout(self.open_connections.timeout_s)

    def on_url(self, url: bytes) -> None:
        if b"#" in url:  # not allowed in a request (RFC 9112, 3.2), but uvicorn would drop it
            raise ValueError("a fragment")
        room = _MAX_TARGET - len(self.url)
        if len(url) > room:
            self.scope["state"]["refusal"] = _TARGET_TOO_LONG
        super().on_url(url[:room])

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        self._fields += 1
        if self._part != "head":  # drop trailers: they could pass for headers that a proxy sets
            return
        if self._head > _MAX_HEAD or self._fields > _MAX_FIELDS:
            self.scope["state"]["refusal"] = _HEAD_TOO_LARGE
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._part = "body"
        self._set_timeout(None)
        self.open_connections.mark_transferring(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self.pipeline and self._body > _MAX_PIPELINED_BODY:
            self.abort()
            raise ConnectionAbortedError
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._part = None
        super().on_message_complete()

    # Called by uvicorn and the adapter

    def shutdown(self) -> None:
        """Close the connection after the answers that are due; a request on its way gets one."""
        if self._part == "head" or self._first_byte is None:
            self._set_timeout(_LAST_S)
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        self.open_connections.mark_idle(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_SPEAKS_TLS if self._first_byte == _TLS_HANDSHAKE else MALFORMED)

    def abort(self) -> None:
        """Close the connection at once, whatever is in progress."""
        self._is_closing = True
        self.transport.abort()

    def _all_answered(self) -> bool:
        """Return whether every request so far has been answered."""
        return self.cycle is None or self.cycle.response_complete

    def _set_timeout(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        if self._part:
            self._refuse(_TOO_SLOW)
        else:
            self.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that does not reach the app, and close the connection."""
        if self._is_closing:
            return
        self._is_closing = True
        if not self._all_answered():
            cycle = self.cycle
            if not cycle.more_body:
                cycle.keep_alive = False  # close after the answers to the requests before this one
                self._part = None
                return
            if cycle.response_started or self.pipeline:
                self.abort()
                return
        request_id = uuid4().hex
        sentence = refusal.sentence.format(self.open_connections.timeout_s)
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
