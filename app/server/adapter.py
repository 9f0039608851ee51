"""Whole requests go to the WSGI app, and whole answers to the client; no client holds a thread.

The event loop receives a body and sends an answer. A thread works for the app in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from threading import Lock
from time import monotonic
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog

from app.server import MALFORMED, REFUSAL, SLOW_S, Bounds, Refusal, memory
from app.server.connections import Connection

log = structlog.get_logger()

Message = dict[str, Any]
Scope = dict[str, Any]
Environ = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LARGE = 16 << 20  # bytes of a body after which memory is given back; most films are smaller
_SMALL = 64 << 10  # bytes of an answer that takes no share, so that no listing fails a login
_LINGER_S = 5.0  # for a client to finish what nobody reads, or it would not see the answer
_PAUSE_S = 1.0  # after which such a client is taken to be done

_TOO_MANY = Refusal(503, "overloaded", "too many requests at once, try again", retry_after_s=5)


class _Refused(Exception):
    """The body is not received any further. more: whether the client still sends."""

    def __init__(self, refusal: Refusal, more: bool) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.more = more


class _Share:
    """What one request has of the bytes that a worker may hold; a context that gives it back."""

    def __init__(self, budget: "_Budget") -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> bool:
        """Take more; False if there is no room."""
        with self._budget.lock:
            if size > self._budget.left:
                return False
            self._budget.left -= size
            self.size += size
            return True

    def __enter__(self) -> "_Share":
        return self

    def __exit__(self, *raised: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let others have it."""
        with self._budget.lock:
            self._budget.left += self.size
            self.size = 0


class _Budget:
    def __init__(self, size: int) -> None:
        self.left = size
        self.lock = Lock()


class Adapter:
    """An ASGI app around a WSGI app, for uvicorn with `connections.Connection`.

    stop: called before the process ends.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        bounds: Bounds,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._bounds = bounds
        self._stop = stop
        self._threads = ThreadPoolExecutor(bounds.threads, "request")
        self._bodies, self._answers = _Budget(bounds.held), _Budget(bounds.held)
        # the bodies that come in and when they began to, the first one first
        self._incoming: dict[asyncio.Timeout, float] = {}
        self._too_slow = Refusal(
            408, "too_slow", f"the request did not come in within {bounds.patience_s:g} seconds"
        )
        self._too_large = Refusal(
            413, "body_too_large", f"the request is larger than {bounds.longest_body / 1e6:g} MB"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        client = scope["state"]["connection"]
        try:
            await self._serve(client, scope, receive, send)
        except asyncio.CancelledError:  # it took longer than there is time for at the end
            client.abort()
            raise
        except Exception:
            if not client.transport.is_closing():  # then the client has gone
                log.exception("a request could not be answered")
                client.abort()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, client: Connection, scope: Scope, receive: Receive, send: Send) -> None:
        run = asyncio.get_running_loop().run_in_executor
        more = False
        with _Share(self._answers) as going_out:
            with _Share(self._bodies) as coming_in:
                try:
                    environ = _environ(scope, await self._body(scope, receive, coming_in))
                except ConnectionResetError:
                    return
                except _Refused as refused:
                    coming_in.give_back()
                    environ = _environ(scope, b"") | {REFUSAL: refused.refusal}
                    more = refused.more
                client.crowd.is_busy(client)
                status, headers, parts = await run(self._threads, self._respond, environ, going_out)
                environ["wsgi.input"].close()  # the app may not have asked for it
                was_large = coming_in.size > _LARGE
            if was_large:
                run(self._threads, memory.give_back)
            client.crowd.is_slow(client)
            if more:
                headers.append((b"connection", b"close"))
            try:
                async with asyncio.timeout(self._bounds.patience_s):
                    await send(
                        {"type": "http.response.start", "status": status, "headers": headers}
                    )
                    for part in parts:
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                    if more:
                        await _linger(receive)
                    await send({"type": "http.response.body"})  # when all of it has been taken
            except TimeoutError:
                client.abort()

    async def _body(self, scope: Scope, receive: Receive, share: _Share) -> bytes:
        """All of the body. Raises _Refused, and ConnectionResetError if the client has gone."""
        if refusal := scope["state"].get("refusal"):
            raise _Refused(refusal, more=True)
        # llhttp takes other codings before the last one, which a proxy may read differently
        codings = [value.lower() for name, value in scope["headers"] if name == _CODING]
        if codings not in ([], [b"chunked"]):
            raise _Refused(MALFORMED, more=True)
        if any(int(v) > self._bounds.longest_body for n, v in scope["headers"] if n == _LENGTH):
            raise _Refused(self._too_large, more=True)
        client = scope["state"]["connection"].transport
        pieces: list[bytes] = []
        more = True
        try:
            async with asyncio.timeout_at(scope["state"]["deadline"]) as patience:
                self._incoming[patience] = monotonic()
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect" or client.is_closing():
                        raise ConnectionResetError
                    more = message["more_body"]
                    pieces.append(message["body"])
                    if share.size + len(pieces[-1]) > self._bounds.longest_body:
                        raise _Refused(self._too_large, more)
                    while not share.grow(len(pieces[-1])):
                        if not self._refuse_slowest(patience):
                            raise _Refused(_TOO_MANY, more)
                        await asyncio.sleep(0.01)
            return b"".join(pieces)
        except TimeoutError:
            was_refused = patience not in self._incoming
            raise _Refused(_TOO_MANY if was_refused else self._too_slow, more) from None
        finally:
            self._incoming.pop(patience, None)

    def _refuse_slowest(self, but: asyncio.Timeout) -> bool:
        """Refuse the body that has been coming in for longest; False if none is slow."""
        slowest, began = next(iter(self._incoming.items()))
        if slowest is but or monotonic() - began < SLOW_S:
            return False
        del self._incoming[slowest]
        if not slowest.expired():
            slowest.reschedule(0)
        return True

    def _respond(
        self, environ: Environ, share: _Share
    ) -> tuple[int, list[tuple[bytes, bytes]], list[bytes]]:
        """Status, headers and body of the app's answer, in a thread."""
        start: list[Any] = []
        parts: list[bytes] = []
        size = 0
        answer = self._app(environ, lambda *started: start.extend(started[:2]))
        try:
            for part in answer:
                parts.append(part)
                size += len(part)
                if size > _SMALL and not share.grow(len(part)):
                    log.warning("an answer found no room", bytes=size)
                    return _TOO_MANY.status, _PLAIN_503, [_TOO_MANY.sentence.encode()]
        finally:
            if close := getattr(answer, "close", None):
                close()
        headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in start[1]]
        return int(start[0].split()[0]), headers, parts


_PLAIN_503 = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_TOO_MANY.sentence)).encode()),
    (b"retry-after", str(_TOO_MANY.retry_after_s).encode()),
]
_CODING, _LENGTH = b"transfer-encoding", b"content-length"


async def _linger(receive: Receive) -> None:
    """Pass over what a client still sends: it reads no answer before it is done, as a rule."""
    until = monotonic() + _LINGER_S
    more: object = True
    with suppress(TimeoutError):
        while more and monotonic() < until:
            more = (await asyncio.wait_for(receive(), _PAUSE_S)).get("more_body")


def _environ(scope: Scope, body: bytes) -> Environ:
    """The WSGI environment (PEP 3333) of a request. RAW_URI is the target as it was sent."""
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
        if b"_" in name:  # it would look like another header's name with hyphens
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
