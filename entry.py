"""The WSGI app, and `python entry.py` to serve it."""

import logging
import resource
import socket
import sys
from typing import Any

import click
import structlog
from flask import Flask
from flask.cli import FlaskGroup
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app import log
from app.server import Bounds, memory
from app.server.adapter import Adapter
from app.server.worker import worker_with
from app.settings import Settings, SettingsError, load_settings

_CONNECTIONS = 2048  # that may be open in a worker, if it may have so many file descriptors
_OTHER_FILES = 256  # descriptors that are for the store, the index, the logs and the libraries


def create_app(*, create_store: bool = True) -> Flask:
    """The app of this environment. Where it can never run, the process ends with a sentence.

    For `flask --app entry COMMAND` it is an app that has the commands and nothing else.
    create_store: whether a store that is missing is made.
    """
    context = click.get_current_context(silent=True)
    if context and isinstance(context.command, FlaskGroup):
        from app.commands import create_command_app

        return create_command_app()

    from app import create_app
    from app.access.keys import KeysError
    from app.audit import AuditUnavailable
    from app.storage import StoreUnavailable, UnknownSeal
    from models.catalogue import ModelUnavailable
    from models.network import RuntimeUnavailable
    from models.weights import WeightsUnavailable

    try:
        return create_app(create_store=create_store)
    except (
        SettingsError,
        KeysError,
        AuditUnavailable,
        StoreUnavailable,
        UnknownSeal,
        ModelUnavailable,
        WeightsUnavailable,
        RuntimeUnavailable,
    ) as error:
        print(f"Cannot start: {error}", file=sys.stderr, flush=True)
        sys.exit(3)


def main() -> None:
    """Serve on HOST and PORT until told to stop."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")
    host = f"[{settings.host}]" if settings.host.count(":") > 1 else settings.host
    address = f"{host.replace('[[', '[').replace(']]', ']')}:{settings.port}"
    try:
        _can_listen(settings.host.strip("[]"), settings.port)
    except OSError as error:
        sys.exit(f"Cannot start: cannot listen on {address} (HOST, PORT): {error.strerror}")
    log.configure(settings.log_level, settings.log_format)
    structlog.get_logger().info("starting", address=address)
    memory.set_up()
    _make_store(settings)
    _Server(settings, address).run()


def _make_store(settings: Settings) -> None:
    """Make the SQLite file if it is missing. Workers do not: a later one might begin a second."""
    if settings.mongo_db_url:
        return
    from app.storage import StoreUnavailable
    from app.storage.opening import open_store

    try:
        open_store(settings).close()
    except (SettingsError, StoreUnavailable) as error:
        sys.exit(f"Cannot start: {error}")


def _can_listen(host: str, port: int) -> None:
    """Raise OSError where gunicorn would try for five seconds and then say much."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        candidate.bind(address)


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn's processes. Each worker makes its own app: OpenVINO does not survive a fork."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings = settings
        self._address = address
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        self._bounds = Bounds(
            settings.threads + settings.listings,
            _most_connections(),
            settings.receive_timeout_s,
            int(settings.max_body_mb * 1e6),
            int(settings.max_received_mb * 1e6),
        )
        options: dict[str, Any] = {
            "bind": self._address,
            "workers": settings.workers,
            "worker_class": worker_with(self._bounds),
            "timeout": 60,
            "graceful_timeout": 20,
            "keepalive": 30,
            "control_socket_disable": True,
            "logger_class": _Log,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Adapter:
        app = create_app(create_store=bool(self._settings.mongo_db_url))
        return Adapter(app, self._bounds, app.extensions["service"].stop)


def _most_connections() -> int:
    """As many as file descriptors allow: without one, a connection cannot even be refused."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return max(16, min(_CONNECTIONS, most - _OTHER_FILES))


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's lines look like ours, and leave out what is no news."""

    # gunicorn says them after a worker has said why it cannot start
    _AFTERWARDS = ("Shutting down: %s", "Reason: %s")

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  gunicorn is not typed
        self.loglevel = logging.WARNING
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True

    def error(self, msg: str, *args: Any, **options: Any) -> None:  # noqa: ANN401
        could_not_start = msg.startswith("Worker (pid:%s) exited") and args[1:] == (3,)
        if not could_not_start and msg not in self._AFTERWARDS:
            super().error(msg, *args, **options)


if __name__ == "__main__":
    main()
