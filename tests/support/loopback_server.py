"""An HTTP server on loopback, as the base of stand-ins."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


class LoopbackServer:
    """Serves on a thread; a context manager. handler: has this server as its `owner`."""

    def __init__(self, handler: type["LoopbackHandler"]) -> None:
        owned = type("Handler", (handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), owned)
        self._thread = Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers one request, and logs nothing."""

    owner: Any
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass
