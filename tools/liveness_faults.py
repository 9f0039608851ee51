"""Faults of a liveness service, by name: each answers one request as a broken service would."""

import gzip
import socket
import struct
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler

STEPS_S = 0.2  # between two bytes of an answer that trickles
HUGE = 1 << 30  # bytes

Handler = BaseHTTPRequestHandler


def sends(body: bytes, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    """Return a function that sends this answer. headers: underscores stand for hyphens."""

    def send(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


ALIVE = b'{"result": true}'


def _slow(handler: Handler) -> None:
    time.sleep(20)
    sends(ALIVE)(handler)


def _trickles(handler: Handler) -> None:
    sends(b"", Content_Type="application/json", Content_Length=str(len(ALIVE)))(handler)
    for byte in ALIVE:
        handler.wfile.write(bytes([byte]))
        time.sleep(STEPS_S * 4)


def _trickles_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        handler.wfile.write(b"X-%d: y\r\n" % number)
        time.sleep(STEPS_S)
    handler.wfile.write(b"Content-Length: %d\r\n\r\n" % len(ALIVE) + ALIVE)


def _huge(handler: Handler) -> None:
    sends(b"", Content_Type="application/json", Content_Length=str(HUGE))(handler)
    handler.wfile.write(b'{"result": true, "more": "')
    part = b" " * (1 << 20)
    for _ in range(HUGE // len(part)):
        handler.wfile.write(part)


def _cuts_off(handler: Handler) -> None:
    sends(ALIVE, Content_Length="1000")(handler)
    handler.close_connection = True


def _speaks_no_http(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


def _resets(handler: Handler) -> None:
    # closing then sends RST instead of FIN
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def _bomb() -> bytes:
    return gzip.compress(b'{"result": true, "more": "' + b" " * (64 << 20) + b'"}')


FAULTS: Mapping[str, Callable[[Handler], None]] = {
    "slow": _slow,
    "trickling": _trickles,
    "trickling headers": _trickles_headers,
    "500": sends(ALIVE, 500),
    "502": sends(b"<html>Bad Gateway</html>", 502),
    "503": sends(b"<html>Application is not available</html>", 503),
    "504": sends(ALIVE, 504),
    "401": sends(ALIVE, 401, WWW_Authenticate="Bearer"),
    "HTML": sends(b"<html>Welcome</html>", Content_Type="text/html"),
    "a string": sends(b'{"result": "true"}'),
    "a number": sends(b'{"result": 1}'),
    "another key": sends(b'{"alive": true}'),
    "a bare true": sends(b"true"),
    "false, then true": sends(b'{"result": false, "result": true}'),
    "true, then false": sends(b'{"result": true, "result": false}'),
    "two spellings": sends(b'{"result": true, "Result": false}'),
    "another case": sends(b'{"Result": true}'),
    "named twice within": sends(b'{"result": true, "more": {"a": 1, "a": 2}}'),
    "a verdict within": sends(b'{"answer": {"result": true}}'),
    "switching protocols": sends(ALIVE, 101, Upgrade="true", Connection="Upgrade"),
    "JSON cut off": sends(b'{"result": true'),
    "answer cut off": _cuts_off,
    "nested deeply": sends(b"[" * 60_000),
    "a gigabyte": _huge,
    "a gzip bomb": lambda handler: sends(_bomb(), Content_Encoding="gzip")(handler),
    "redirect": sends(ALIVE, 307, Location="http://127.0.0.1:9/liveness_check"),
    "nothing": sends(b""),
    "not HTTP": _speaks_no_http,
    "reset": _resets,
}
