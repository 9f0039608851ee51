"""`python entry.py` serves the app; `flask --app entry` runs its commands."""

import logging
import math
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

import app
from app import bootstrap, machine
from app.metrics import Metrics
from app.server import Bounds, leaving_s
from app.server.adapter import Adapter
from app.server.crew import Crew, State
from app.server.worker import worker_with
from app.settings import Settings

_MAX_CONNECTIONS = 2048  # open at once in a worker, if it may have so many file descriptors
_OTHER_FILES = 256  # descriptors left for the store, the index, logs and libraries
_CANNOT_START = 3  # exit status of a worker on which gunicorn ends the whole service


def make_app() -> Flask:
    """Return an app with nothing but the commands, for `flask --app entry COMMAND`."""
    from app.commands import create_command_app

    return create_command_app()


def main() -> None:
    """Serve on HOST and PORT until stopped."""
    try:
        settings = bootstrap.set_up_process()
        address = _address(settings)
        share = machine.share()
        structlog.get_logger().info(
            "starting",
            address=address,
            cpus=share.cpus,
            memory_mb=share.memory and share.memory // 10**6,
            workers=settings.workers,
            threads=settings.threads,
            max_in_flight=settings.max_in_flight,
            max_received_mb=settings.max_received_mb,
            max_image_megapixels=settings.max_image_megapixels,
        )
        # Create the store here, once: a worker that replaces another must not create a second one.
        if not settings.mongo_db_url:
            bootstrap.open_store(settings).close()
    except bootstrap.CANNOT_START as error:
        sys.exit(f"Cannot start: {error}")
    Server(settings, address).run()


def _address(settings: Settings) -> str:
    """Return HOST:PORT for gunicorn. Exit if it is taken; gunicorn would retry for 5 s."""
    host = settings.host.strip("[]")
    address = f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(target)
    except OSError as error:
        sys.exit(f"Cannot start: cannot listen on {address} (HOST, PORT): {error.strerror}")
    return address


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn. Each worker builds its own app, because OpenVINO does not survive a fork."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._crew = Crew()
        self._metrics = Metrics(settings.workers)  # which the workers inherit
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        self._bounds = Bounds(
            settings.threads + settings.listings,
            _max_connections(),
            settings.receive_timeout_s,
            int(settings.max_body_mb * 1e6),
            int(settings.max_received_mb * 1e6),
            settings.drain_s,
        )
        options: dict[str, Any] = {
            "bind": self._address,
            "workers": settings.workers,
            "worker_class": worker_with(self._bounds, self._crew),
            "pre_fork": self._note(State.STARTING),
            "child_exit": self._worker_ended,
            "on_exit": lambda arbiter: structlog.get_logger().info("stopped"),
            "timeout": 60,
            "graceful_timeout": math.ceil(leaving_s(settings.drain_s)),
            "keepalive": 30,
            "control_socket_disable": True,
            "logger_class": _Log,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Adapter:
        """Build the app of a worker. Exit with a message if it cannot start."""
        self._metrics.begin_worker()
        try:
            flask_app = self.build(self._settings)
        except bootstrap.CANNOT_START as error:
            print(f"Cannot start: {error}", file=sys.stderr, flush=True)
            sys.exit(_CANNOT_START)
        adapter = Adapter(flask_app, self._bounds, flask_app.extensions["service"])
        bodies = adapter.bodies
        self._metrics.watch(body_bytes=lambda: bodies.used, body_bytes_limit=lambda: bodies.size)
        return adapter

    def _note(self, state: State) -> Callable[[object, Any], None]:
        """Return a hook of gunicorn's that notes a worker's state."""

        def hook(arbiter: object, worker: Any) -> None:  # noqa: ANN401  gunicorn is not typed
            self._crew.note(worker.age, state)

        return hook

    def _worker_ended(self, arbiter: object, worker: Any) -> None:  # noqa: ANN401
        self._crew.note(worker.age, State.GONE)
        self._metrics.worker_ended()

    def build(self, settings: Settings) -> Flask:
        """Build the app."""
        create_store = bool(settings.mongo_db_url)  # `main` has created the SQLite file
        service = bootstrap.make_service(settings, create_store=create_store)
        return app.create_app(settings, service, self._metrics)


def _max_connections() -> int:
    """Raise the limit on file descriptors, and return how many connections it allows.

    Even refusing a connection takes a descriptor.
    """
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return max(16, min(_MAX_CONNECTIONS, limit - _OTHER_FILES))


class _Log(Logger):  # type: ignore[misc]
    """Formats gunicorn's log lines like the service's, and drops those that repeat them."""

    # gunicorn logs these after a worker has said why it cannot start
    _REPEATED = ("Shutting down: %s", "Reason: %s")

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  gunicorn is not typed
        self.loglevel = logging.WARNING
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True

    def error(self, msg: str, *args: Any, **options: Any) -> None:  # noqa: ANN401
        could_not_start = msg.startswith("Worker (pid:%s) exited") and args[1:] == (_CANNOT_START,)
        if not could_not_start and msg not in self._REPEATED:
            super().error(msg, *args, **options)


if __name__ == "__main__":
    main()
