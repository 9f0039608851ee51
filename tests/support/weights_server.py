"""A real HTTP server on loopback that offers one file, and misbehaves on demand."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from models.weights import WeightsFile
from testbed.serving import ROOT
from tests.support.loopback_server import LoopbackHandler, LoopbackServer

CONTENT = hashlib.shake_256(b"weights").digest(1_000_000)
OTHER = hashlib.shake_256(b"something else").digest(len(CONTENT))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Answer:
    """How to answer one request.

    ranges: whether to heed the Range header.
    content: what to send instead of the server's content.
    held: wait for this before sending anything.
    cut_at, stall_at: close the connection, or fall silent, after that many bytes.
    """

    status: int = 200
    ranges: bool = True
    content: bytes | None = None
    held: Event | None = None
    cut_at: int | None = None
    stall_at: int | None = None


@dataclass
class Request:
    """A request that came; sent: bytes of the body that were sent."""

    path: str
    range: str | None
    sent: int = field(default=0)


class WeightsServer(LoopbackServer):
    """Gives the answers in turn, and repeats the last one; a path in /moved/ redirects first."""

    def __init__(self, content: bytes, answers: Sequence[Answer] = (Answer(),)) -> None:
        self.content = content
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.asked = Event()
        self.closing = Event()
        super().__init__(_Handler)

    def offer(self, prefix: str = "") -> WeightsFile:
        """What a client wants from this server, whatever it answers."""
        return WeightsFile("net.pt", f"{self.address}{prefix}/net.pt", sha256(CONTENT))

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request."""
        return [request.range for request in self.requests]

    def __exit__(self, *raised: object) -> None:
        self.closing.set()
        super().__exit__(*raised)


class _Handler(LoopbackHandler):
    owner: WeightsServer

    def do_GET(self) -> None:  # noqa: N802  as http.server calls it
        self.close_connection = True
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        owner = self.owner
        answer = owner.answers[min(len(owner.requests), len(owner.answers) - 1)]
        request = Request(self.path, self.headers["Range"])
        owner.requests.append(request)
        owner.asked.set()
        try:
            if answer.held:
                while not (answer.held.wait(0.01) or owner.closing.is_set()):
                    pass
            self._answer(answer, request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up, as it should

    def _answer(self, answer: Answer, request: Request) -> None:
        content = self.owner.content if answer.content is None else answer.content
        status, first = answer.status, 0
        if request.range and answer.ranges and status == 200:
            first = int(request.range.removeprefix("bytes=").removesuffix("-"))
            status = 206 if first < len(content) else 416
        body = content[first:] if status in (200, 206) else b""
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send_body(body, answer, request)

    def _send_body(self, body: bytes, answer: Answer, request: Request) -> None:
        end = min(
            len(body) if limit is None else limit for limit in (answer.cut_at, answer.stall_at)
        )
        self.wfile.write(body[:end])
        request.sent = end
        if answer.stall_at is not None:
            self.owner.closing.wait()


def start_fetching(weights: WeightsFile, folder: Path) -> subprocess.Popen[str]:
    """Start a process that fetches; its last line begins with `fetched` or `failed`."""
    script = """
import sys
from pathlib import Path
from models.weights import WeightsFile, WeightsUnavailable, fetch
folder, url, sha256 = sys.argv[1:]
try:
    print("fetched", fetch(WeightsFile("net.pt", url, sha256), Path(folder)))
except WeightsUnavailable as error:
    print("failed", error)
"""
    arguments = [str(folder), weights.url, weights.sha256]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
