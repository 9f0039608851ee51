"""A proxy to a mongod that cuts a connection after the server has carried out a command."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Self

LARGEST = 1 << 20


def nothing() -> None:
    """What happens while a reply is lost, unless told."""


class ReplyCutter:
    """Forwards connections to a server on loopback; a context manager.

    port: where it takes connections.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._request: bytes | None = None
        self._meanwhile: Callable[[], object] = nothing
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._listener.close()

    @contextmanager
    def cutting(
        self, command: str, collection: str, meanwhile: Callable[[], object] = nothing
    ) -> Iterator[None]:
        """Lose the reply to the next such command, and its connection.

        meanwhile: called between the reply and the end of the connection.
        """
        name = collection.encode() + b"\0"
        length = len(name).to_bytes(4, "little")
        self._meanwhile = meanwhile
        self._request = b"\x02" + command.encode() + b"\0" + length + name
        yield
        assert self._request is None, "nobody sent that command"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        cut = Event()
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            Thread(target=self._answer, args=(server, client, cut), daemon=True).start()
            with suppress(OSError):
                while data := client.recv(LARGEST):
                    if self._request and self._request in data:
                        self._request = None
                        cut.set()
                    server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, cut: Event) -> None:
        with suppress(OSError):
            while data := server.recv(LARGEST):
                if cut.is_set():
                    self._meanwhile()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)
