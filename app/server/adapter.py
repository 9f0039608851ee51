"""Pass whole requests to the WSGI app and whole answers to clients, so no client holds a thread.

The event loop receives the body and sends the answer. In between, a thread runs the app. An answer
of any length is streamed: a thread makes its next part when the client has taken the one before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from time import monotonic
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog

from app.server import MALFORMED, REFUSAL, SLOW_S, STREAMED, Bounds, Refusal, Served, memory
from app.server.byte_budget import Budget, Reservation
from app.server.connections import Connection

log = structlog.get_logger()

Message = dict[str, Any]
Scope = dict[str, Any]
Environ = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LARGE = 16 << 20  # bytes; bodies above have memory trimmed, most frame sequences are smaller
_SMALL = 64 << 10  # bytes of an answer that take no budget, so that listings cannot fail logins
# Most clients read no answer before they have sent everything. So read and discard the rest of a
# refused body, for at most _DRAIN_S, or until the client is silent for _DRAIN_PAUSE_S.
_DRAIN_S = 5.0
_DRAIN_PAUSE_S = 1.0

_OVERLOADED = Refusal(503, "overloaded", "too many requests at once, try again", retry_after_s=5)
_OVERLOADED_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_OVERLOADED.sentence)).encode()),
    (b"retry-after", str(_OVERLOADED.retry_after_s).encode()),
]
_CODING, _LENGTH = b"transfer-encoding", b"content-length"


class _Refused(Exception):
    """The rest of the body is not wanted. still_sending: whether the client has more to send."""

    def __init__(self, refusal: Refusal, still_sending: bool) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.still_sending = still_sending


class Adapter:
    """An ASGI app around a WSGI app, for uvicorn with `connections.Connection`.

    service: what is behind the app. closes_connections: whether each connection is closed after the
    next answer on it. bodies: what is held of bodies.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], bounds: Bounds, service: Served
    ) -> None:
        self.service = service
        self.closes_connections = False
        self._app = app
        self._bounds = bounds
        self._threads = ThreadPoolExecutor(bounds.threads, "request")
        self.bodies, self._answers = Budget(bounds.buffered), Budget(bounds.buffered)
        # Start times of the bodies that are arriving, by their timeouts, the oldest first.
        self._incoming: dict[asyncio.Timeout, float] = {}
        self._too_slow = Refusal(
            408, "too_slow", f"the request did not arrive within {bounds.timeout_s:g} seconds"
        )
        self._too_large = Refusal(
            413, "body_too_large", f"the request is larger than {bounds.max_body / 1e6:g} MB"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        client = scope["state"]["connection"]
        try:
            await self._serve(client, scope, receive, send)
        except asyncio.CancelledError:  # the time for a graceful shutdown is over
            client.abort()
            raise
        except Exception:
            if not client.transport.is_closing():  # if it is, the client has gone
                log.exception("a request could not be answered")
                client.abort()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.service.stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, client: Connection, scope: Scope, receive: Receive, send: Send) -> None:
        run = asyncio.get_running_loop().run_in_executor
        still_sending = False
        with Reservation(self._answers) as answer_bytes:
            with Reservation(self.bodies) as body_bytes:
                try:
                    environ = _environ(scope, await self._body(scope, receive, body_bytes))
                except ConnectionResetError:
                    return
                except _Refused as refused:
                    body_bytes.release()
                    environ = _environ(scope, b"") | {REFUSAL: refused.refusal}
                    still_sending = refused.still_sending
                client.open_connections.mark_busy(client)
                status, headers, parts = await run(
                    self._threads, self._respond, environ, answer_bytes
                )
                environ["wsgi.input"].close()  # in case the app has not
                is_large = body_bytes.size > _LARGE
            if is_large:
                run(self._threads, memory.trim)
            client.open_connections.mark_transferring(client)
            # Requests that have come ahead on the connection still get their answers.
            if still_sending or (self.closes_connections and not client.pipeline):
                headers = [*headers, (b"connection", b"close")]
            try:
                async with asyncio.timeout(self._bounds.timeout_s):
                    await send(
                        {"type": "http.response.start", "status": status, "headers": headers}
                    )
                if STREAMED in environ:
                    parts = await self._streamed(client, parts, send)
                async with asyncio.timeout(self._bounds.timeout_s):
                    for part in parts:
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                    if still_sending:
                        await _drain(receive)
                    # This returns when the client has taken the whole answer.
                    await send({"type": "http.response.body"})
            except TimeoutError:
                client.abort()

    async def _streamed(
        self, client: Connection, answer: Iterable[bytes], send: Send
    ) -> tuple[bytes, ...]:
        """Send the parts of an answer one by one; return those that are left, none."""
        run = asyncio.get_running_loop().run_in_executor
        parts = iter(answer)
        try:
            while not client.transport.is_closing():
                part = await run(self._threads, next, parts, None)
                if part is None:
                    break
                async with asyncio.timeout(self._bounds.timeout_s):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        finally:
            if close := getattr(answer, "close", None):
                close()
        return ()

    async def _body(self, scope: Scope, receive: Receive, reservation: Reservation) -> bytes:
        """Return the whole body. Raises _Refused; ConnectionResetError if the client has gone."""
        if refusal := scope["state"].get("refusal"):
            raise _Refused(refusal, still_sending=True)
        # llhttp accepts other codings before `chunked`; a proxy may read such a body differently.
        codings = [value.lower() for name, value in scope["headers"] if name == _CODING]
        if codings not in ([], [b"chunked"]):
            raise _Refused(MALFORMED, still_sending=True)
        lengths = [int(value) for name, value in scope["headers"] if name == _LENGTH]
        if any(length > self._bounds.max_body for length in lengths):
            raise _Refused(self._too_large, still_sending=True)
        transport = scope["state"]["connection"].transport
        pieces: list[bytes] = []
        more = True
        try:
            async with asyncio.timeout_at(scope["state"]["deadline"]) as timeout:
                self._incoming[timeout] = monotonic()
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect" or transport.is_closing():
                        raise ConnectionResetError
                    more = message["more_body"]
                    pieces.append(message["body"])
                    if reservation.size + len(pieces[-1]) > self._bounds.max_body:
                        raise _Refused(self._too_large, more)
                    while not reservation.grow(len(pieces[-1])):
                        if not self._refuse_slowest(timeout):
                            raise _Refused(_OVERLOADED, more)
                        await asyncio.sleep(0.01)  # the refused request releases its bytes
            return b"".join(pieces)
        except TimeoutError:
            was_refused = timeout not in self._incoming
            raise _Refused(_OVERLOADED if was_refused else self._too_slow, more) from None
        finally:
            self._incoming.pop(timeout, None)

    def _refuse_slowest(self, own: asyncio.Timeout) -> bool:
        """Refuse the body that has been arriving for the longest time.

        Return False if it is not slow, or is the caller's own.
        """
        slowest, began = next(iter(self._incoming.items()))
        if slowest is own or monotonic() - began < SLOW_S:
            return False
        del self._incoming[slowest]
        if not slowest.expired():
            slowest.reschedule(0)
        return True

    def _respond(
        self, environ: Environ, reservation: Reservation
    ) -> tuple[int, list[tuple[bytes, bytes]], Iterable[bytes]]:
        """Call the app, in a thread. Return the answer's status, headers and body.

        The body is in memory, unless the app has set STREAMED.
        """
        start: list[Any] = []
        parts: list[bytes] = []
        size = 0
        answer = self._app(environ, lambda *started: start.extend(started[:2]))
        if STREAMED in environ:
            return *_status_and_headers(start), answer
        try:
            for part in answer:
                parts.append(part)
                size += len(part)
                if size > _SMALL and not reservation.grow(len(part)):
                    log.warning("there is no memory left for an answer", bytes=size)
                    return _OVERLOADED.status, _OVERLOADED_HEADERS, [_OVERLOADED.sentence.encode()]
        finally:
            if close := getattr(answer, "close", None):
                close()
        return *_status_and_headers(start), parts


def _status_and_headers(start: Sequence[Any]) -> tuple[int, list[tuple[bytes, bytes]]]:
    headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in start[1]]
    return int(start[0].split()[0]), headers


async def _drain(receive: Receive) -> None:
    """Discard what the client still sends."""
    until = monotonic() + _DRAIN_S
    more: object = True
    with suppress(TimeoutError):
        while more and monotonic() < until:
            more = (await asyncio.wait_for(receive(), _DRAIN_PAUSE_S)).get("more_body")


def _environ(scope: Scope, body: bytes) -> Environ:
    """Return the WSGI environment (PEP 3333) of a request. RAW_URI is the target as it was sent."""
    raw_path, query = scope["raw_path"], scope["query_string"]
    server, client = scope["server"] or ("", 0), scope["client"] or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": (raw_path + (b"?" + query if query else b"")).decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:  # in the environment it would pass for the name with hyphens
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
