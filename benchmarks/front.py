"""Measure what misbehaving clients cost everybody else, here and with gunicorn's own threads.

Both servers run the same app, started anew for each kind of client. While these clients are
connected, /healthz is asked for on a new connection every 100 ms.
"""

import http.client
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread

import numpy as np
import requests

from benchmarks import sections
from testbed.serving import ROOT, START_S, environment, free_port

DOCUMENT = ROOT / "docs" / "reliability.md"
SECONDS = 8.0  # for which each kind of client stays connected
INTERVAL_S = 0.1  # between requests for /healthz
PATIENCE_S = 5.0
THREADS = 8

SERVERS = {
    "this service": [sys.executable, "entry.py"],
    "gunicorn, gthread": [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread"),
        *("--threads", str(THREADS), "--timeout", "120", "app:create_app()"),
    ],
}
"""The commands that serve the app."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of client.

    count: how many clients. first: bytes that each sends once it is connected. each_second: what
    each does from then on. reads: bytes of its receive buffer; None for the system's default.
    apart_s: seconds between the first bytes of two clients.
    """

    count: int
    first: bytes
    each_second: Callable[[socket.socket], object] = lambda _: None
    reads: int | None = None
    apart_s: float = 0.0


def trickle(client: socket.socket) -> None:
    client.send(b"y")


def read_a_little(client: socket.socket) -> None:
    client.recv(80_000)


def flood(client: socket.socket) -> None:
    client.send(b"A: b\r\n" * (1 << 15))


POST = b"POST /api/find_match HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BLANKS = b"Transfer-Encoding:" + b" " * 2_500 + b"\nA: b\r\n\r\n"
KINDS = {
    "200 slow bodies": Kind(200, POST + b"Content-Length: 1000000\r\n\r\n{", trickle),
    "1,500 slow heads": Kind(1_500, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ", trickle),
    "3,000 silent connections": Kind(3_000, b""),
    "40 slow readers of 10 MB": Kind(
        40,
        b"GET /api/get_all/1000/1 HTTP/1.1\r\nHost: x\r\n\r\n",
        read_a_little,
        reads=4_096,
        apart_s=0.2,  # few listings are answered at once, the others get a 503
    ),
    "40 that pipeline and read nothing": Kind(
        40, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 400, reads=4_096
    ),
    "4 heads of blanks": Kind(4, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + BLANKS),
    "4 floods of trailers": Kind(4, POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", flood),
}


def main() -> None:
    """Measure, and write the table."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = [
        f"| `/healthz` during | {' | '.join(SERVERS)} |",
        f"|---|{'---|' * len(SERVERS)}",
    ]
    for name, kind in KINDS.items():
        cells = [measure(command, kind) for command in SERVERS.values()]
        rows.append(f"| {name} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    sections.write(DOCUMENT, "front", rows)


def measure(command: list[str], kind: Kind) -> str:
    """Return the median and longest time to an answer, and how many requests got none."""
    with served(command) as port:
        if kind.reads and b"get_all" in kind.first:
            fill(port)
        with connected(port, kind):
            took = list(ask(port))
    answered = [seconds for seconds in took if seconds < PATIENCE_S]
    missed = f", {len(took) - len(answered)} of {len(took)} not in {PATIENCE_S:g} s"
    if not answered:
        return f"no answer in {PATIENCE_S:g} s"
    figures = f"{median(answered) * 1e3:.0f} ms, at most {max(answered) * 1e3:.0f}"
    return figures + missed * (len(answered) < len(took))


@contextmanager
def served(command: list[str]) -> Iterator[int]:
    """Run a server, and yield its port."""
    port = free_port()
    with TemporaryDirectory() as folder:
        variables = environment(
            HOST="127.0.0.1",
            PORT=str(port),
            THREADS=str(THREADS),
            LOG_LEVEL="info",
            SQLITE_PATH=f"{folder}/employees.db",
            GUNICORN_CMD_ARGS=f"--bind 127.0.0.1:{port}",
        )
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_S
            while time.monotonic() < end:
                with suppress(requests.RequestException):
                    if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).ok:
                        break
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            subprocess.run(["pkill", "-KILL", "-P", str(process.pid)], check=False)
            process.kill()
            process.wait()


def fill(port: int) -> None:
    """Enrol people until a page of them takes 10 MB."""
    vectors = np.random.default_rng(0).normal(size=(60, 128)).tolist()
    body = json.dumps({"name": "Ada", "surname": "Byron", "img_features": vectors})
    headers = {"Content-Type": "application/json"}
    for number in range(62):
        url = f"http://127.0.0.1:{port}/api/store/{number}"
        requests.post(url, body, headers=headers, timeout=30).raise_for_status()


@contextmanager
def connected(port: int, kind: Kind) -> Iterator[None]:
    """Keep clients of this kind connected."""
    over = Event()

    def go_on() -> None:
        while not over.wait(1):
            for client in clients:
                with suppress(OSError):
                    kind.each_second(client)

    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(kind.count)]
        for client in clients:
            if kind.reads:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kind.reads)
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        time.sleep(0.5)
        for client in clients:
            with suppress(OSError):
                client.send(kind.first)
            time.sleep(kind.apart_s)
        busy = Thread(target=go_on)
        busy.start()
        try:
            yield
        finally:
            over.set()
            busy.join()


def ask(port: int) -> Iterator[float]:
    """Yield the seconds until each answer; PATIENCE_S if none came."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            client.request("GET", "/healthz")
            assert client.getresponse().read()
            yield time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            yield PATIENCE_S
        finally:
            client.close()
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main()
