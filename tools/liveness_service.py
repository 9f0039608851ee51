"""A stand-in for the liveness service, for development and tests. It is no liveness detection.

`python -m tools.liveness_service` serves it. It speaks real HTTP, decides by a rule it is told, and
has faults on demand:

    curl -X PUT localhost:8099/told -d '{"rule": "dead"}'
    curl -X PUT localhost:8099/told -d '{"fault": "trickling"}'
    curl -X PUT localhost:8099/told -d '{}'                       as it was started
"""

import argparse
import base64
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import cycle
from threading import Event, Thread
from typing import Any, Self

import numpy as np
from PIL import Image

from tools.liveness_faults import FAULTS, Handler, sends

PATH = "/liveness_check"
TOLD = "/told"
FRAMES = 15

Rule = Callable[[Sequence[str]], object]


def changes(frames: Sequence[str]) -> bool:
    """Does the middle of the picture change in some place more than noise and light do?

    frames: base64 pictures. A rough rule for trying things out: anything that moves is alive.
    """
    stack = np.stack([_middle(frame) for frame in frames])
    stack -= stack.mean(axis=(1, 2), keepdims=True)
    return bool((stack.max(axis=0) - stack.min(axis=0)).max() > 16)


def _middle(frame: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    image = Image.open(BytesIO(base64.b64decode(frame))).convert("L")
    width, height = image.size
    middle = image.crop((width // 4, height // 4, width - width // 4, height - height // 4))
    return np.asarray(middle.resize((24, 24), Image.Resampling.BOX), np.float64)


def rules() -> dict[str, Rule]:
    """The rules by name, new ones at each call."""
    verdicts = cycle((True, False))
    return {
        "blink": changes,
        "alive": lambda _: True,
        "dead": lambda _: False,
        "alternate": lambda _: next(verdicts),
    }


class LivenessService:
    """Answers `POST /liveness_check` as told; a context manager.

    asked: the bodies of all questions so far. headers: those of the last one. connections: how many
    were made to ask.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1", rule: str = "alive") -> None:
        self.asked: list[Any] = []
        self.headers: Mapping[str, str] = {}
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._host, self._port = host, port
        self._go_on = Event()
        self._delay_s = 0.0
        self._first_rule = rule
        self.told(rule=rule)
        self.go_on()

    def told(self, rule: str | None = None, fault: str | None = None, delay_s: float = 0) -> None:
        """From now on decide by `rule`, or have a fault; first wait `delay_s`."""
        self._delay_s = delay_s
        if fault is not None:
            self._answers = FAULTS[fault]
            return
        decide = rules()[rule or self._first_rule]
        self._answers = lambda handler: sends(
            json.dumps({"result": decide(self.asked[-1]["frames"])}).encode(),
            Content_Type="application/json",
        )(handler)

    def says(self, result: object) -> None:
        """From now on answer `{"result": result}`."""
        self.answers(json.dumps({"result": result}))

    def answers(
        self, body: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """From now on answer this."""
        self._delay_s = 0
        self._answers = sends(body.encode(), status, **(headers or {}))

    def hang(self) -> None:
        """From now on take questions, and answer none before `go_on`."""
        self._go_on.clear()

    def go_on(self) -> None:
        """Answer again."""
        self._go_on.set()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Meanwhile nobody listens."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.go_on()
        self._stop()

    def _start(self) -> None:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                stand_in.connections += 1
                stand_in._open.add(self.connection)

            def finish(self) -> None:
                stand_in._open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                stand_in._answer(self)

            def do_PUT(self) -> None:
                stand_in._obey(self)

            def log_message(self, *_: object) -> None:
                """Keep the output clean."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Ignore clients that have hung up; the faults are there to make them."""

        self._server = Server((self._host, self._port), Handler)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, handler: Handler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.path != PATH:
            handler.send_error(404)
            return
        self.headers = dict(handler.headers)
        self.asked.append(json.loads(body))
        self._go_on.wait(20)
        time.sleep(self._delay_s)
        self._answers(handler)

    def _obey(self, handler: Handler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.path != TOLD:
            handler.send_error(404)
            return
        try:
            self.told(**json.loads(body or b"{}"))
        except (TypeError, KeyError, ValueError) as error:
            handler.send_error(400, f"not understood: {error}")
        else:
            sends(b"ok\n")(handler)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the liveness service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--rule", default="blink", choices=list(rules()))
    options = parser.parse_args()
    with ExitStack() as started:
        try:
            service = started.enter_context(
                LivenessService(options.port, options.host, options.rule)
            )
        except OSError as error:
            sys.exit(f"Cannot listen on {options.host}:{options.port} (--port): {error.strerror}")
        print(f"A stand-in for the liveness service at {service.url}, rule {options.rule}.")
        print(f"Faults, for PUT {service.url}{TOLD}: {', '.join(FAULTS)}.", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
