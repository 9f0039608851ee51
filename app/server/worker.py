"""A gunicorn worker that gives a request to a thread when all of it is here.

gunicorn's own gives a thread to every connection that sends something, for as long as it takes: as
many slow senders as there are threads lock everybody out. And it waits, in its only event loop, for
clients to close their end. Here the event loop waits for nobody.
"""

import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.server import memory
from app.server.incoming import Incoming, Refused

_FIRST, _PIECE = 1 << 16, 1 << 20  # bytes that are received at a time, of short and long requests
_LARGE = 16 << 20  # bytes of requests after which memory is given back; most films are smaller
_SLOW_S = 2.0  # who has been sending for longer makes room for others
_LINGER_S = 2.0  # for the client to read an answer before the connection is closed
_TOO_MANY = "503 Service Unavailable", "too many requests at once, try again"


class _Socket(socket.socket):
    """Where gunicorn means to block for ever, it blocks for `patience_s`."""

    patience_s = 30.0

    def setblocking(self, flag: bool) -> None:
        self.settimeout(self.patience_s if flag else 0.0)


class _Received(SocketUnreader):  # type: ignore[misc]
    """What gunicorn's parser reads from: what is here, and never the socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.pieces: deque[bytes] = deque()

    def chunk(self, size_hint: int | None = None) -> bytes:
        if not self.pieces:
            raise TimeoutError("the request is not whole")
        return self.pieces.popleft()


class _Connection(TConn):  # type: ignore[misc]
    """gunicorn's connection, and what is being received."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401
        super().__init__(*args)
        self.incoming: Incoming
        self.began = self.deadline = 0.0
        self.held = 0  # bytes, until the request is answered


class Worker(ThreadWorker):  # type: ignore[misc]
    """Threads for whole requests, one event loop for all that come in.

    receive_s: how long a request may take to come in, and an answer to go out.
    receive_bytes: what is held of all requests together, until they are answered.
    longest_body: of longer bodies nothing is received.
    """

    receive_s: float
    receive_bytes: int
    longest_body: int

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._receiving: dict[_Connection, None] = {}  # who began first comes first
        self._closing: dict[_Connection, None] = {}  # the same
        self._held = 0
        self._large_gone = False

    # What gunicorn calls, in its event loop:

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; where there are too many, in place of who idles or is slow."""
        try:
            accepted, client = listener.accept()
        except OSError:  # gone already, or another worker's
            return
        sock = _Socket(fileno=accepted.detach())
        sock.patience_s = self.receive_s
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._close_idle() or self._refuse_slow()
        self._receive(_Connection(self.cfg, sock, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: _Connection, client: socket.socket) -> None:
        """The next request on a connection that was kept open."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def finish_request(self, conn: _Connection, fs: Any) -> None:  # noqa: ANN401
        """A thread is done with a request."""
        self._release(conn)
        if fs.cancelled() or fs.exception() or not fs.result():
            self._close_gently(conn)
            return
        unread = conn.parser.unreader
        if rest := b"".join((unread.take_buffered(), *unread.pieces)):
            self._receive(conn, rest)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close what took too long; and give back what large requests took, when they are gone."""
        if self._large_gone:
            self._large_gone = False
            memory.give_back()
        now = time.monotonic()
        for conn in list(self._receiving):
            stops = not self.alive and not conn.incoming.size
            if conn.deadline > now and not stops:
                break
            if conn.incoming.size:
                sentence = f"the request did not come in within {self.receive_s:g} seconds"
                self._refuse(conn, "408 Request Timeout", sentence)
            else:
                self._drop(conn)
        for conn in list(self._closing):
            if conn.deadline > now:
                break
            self._drop(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ANN401
        """A request that cannot be parsed is the client's mistake, whatever gunicorn calls it."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        match exc:
            case LimitRequestLine():
                status, sentence = "414 URI Too Long", "the address is too long"
            case LimitRequestHeaders():
                status, sentence = (
                    "431 Request Header Fields Too Large",
                    "the headers are too large",
                )
            case _:
                status, sentence = "400 Bad Request", "the request is malformed"
        with suppress(OSError):
            client.sendall(_answer(status, sentence))

    # The life of a connection: received, handed to a thread, received again or closed.

    def _receive(self, conn: _Connection, data: bytes = b"") -> None:
        conn.incoming = Incoming(self.longest_body)
        conn.began = time.monotonic()
        conn.deadline = conn.began + self.receive_s
        conn.sock.setblocking(False)
        self._receiving[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_readable, conn))
        if data:
            self._take(conn, data)

    def _on_readable(self, conn: _Connection, sock: socket.socket) -> None:
        try:
            data = sock.recv(_PIECE if conn.incoming.size >= _FIRST else _FIRST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(conn, data)
        else:
            self._drop(conn)

    def _take(self, conn: _Connection, data: bytes) -> None:
        incoming = conn.incoming
        waited = incoming.asks_to_continue
        conn.held += len(data)
        self._held += len(data)
        try:
            incoming.feed(data)
        except Refused as refused:
            self._refuse(conn, refused.status, refused.sentence)
            return
        if incoming.whole:
            self._hand_over(conn)
        elif incoming.asks_to_continue and not waited:
            with suppress(OSError):
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self._held > self.receive_bytes and self._refuse_slow():
            pass
        if self._held > self.receive_bytes and conn in self._receiving:
            self._refuse(conn, *_TOO_MANY)

    def _hand_over(self, conn: _Connection) -> None:
        del self._receiving[conn]
        self.poller.unregister(conn.sock)
        conn.data_ready = True
        conn.init()
        if not isinstance(conn.parser.unreader, _Received):
            conn.parser.unreader = _Received(conn.sock)
        conn.parser.unreader.pieces = conn.incoming.pieces
        self.enqueue_req(conn)

    def _refuse(self, conn: _Connection, status: str, sentence: str) -> None:
        """Answer and close."""
        del self._receiving[conn]
        self.poller.unregister(conn.sock)
        self._release(conn)
        with suppress(OSError):
            conn.sock.send(_answer(status, sentence))
        self._close_gently(conn)

    def _refuse_slow(self) -> bool:
        """Refuse who has been sending for longest; False where nobody is slow."""
        slowest = next(iter(self._receiving), None)
        if slowest is None or time.monotonic() - slowest.began < _SLOW_S:
            return False
        self._refuse(slowest, *_TOO_MANY)
        return True

    def _close_idle(self) -> bool:
        """Close the connection that is idle for longest; False where there is none."""
        if not self.keepalived_conns:
            return False
        self._drop(self.keepalived_conns.popleft())
        return True

    def _close_gently(self, conn: _Connection) -> None:
        """Close after the client has; else what it still sends would reset the connection, and
        the answer on its way to it would be lost."""
        conn.deadline = time.monotonic() + _LINGER_S
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_last_bytes, conn))
        except (OSError, ValueError):
            self._drop(conn)
        else:
            self._closing[conn] = None

    def _on_last_bytes(self, conn: _Connection, sock: socket.socket) -> None:
        with suppress(OSError):
            if sock.recv(_PIECE):
                return
        self._drop(conn)

    def _release(self, conn: _Connection) -> None:
        self._large_gone |= conn.held > _LARGE
        self._held -= conn.held
        conn.held = 0

    def _drop(self, conn: _Connection) -> None:
        self._receiving.pop(conn, None)
        self._closing.pop(conn, None)
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._release(conn)
        self.nr_conns -= 1
        util.close(conn.sock)


def worker_with(receive_s: float, receive_bytes: int, longest_body: int) -> type[Worker]:
    """The class of workers with these limits: gunicorn makes the worker itself."""
    limits = {
        "receive_s": receive_s,
        "receive_bytes": receive_bytes,
        "longest_body": longest_body,
    }
    return type("LimitedWorker", (Worker,), limits)


def _answer(status: str, sentence: str) -> bytes:
    again = "Retry-After: 5\r\n" if status.startswith("503") else ""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n{again}"
        f"Content-Length: {len(sentence)}\r\nConnection: close\r\n\r\n{sentence}"
    ).encode()
