"""The WSGI app, and `python entry.py` to serve it."""

import logging
import sys
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app import log
from app.settings import Settings, SettingsError, load_settings


def create_app() -> Flask:
    """The app of this environment. Where it can never run, the process ends with a sentence."""
    from app import create_app
    from app.storage import StoreUnavailable
    from models.catalogue import ModelUnavailable
    from models.weights import WeightsUnavailable

    try:
        return create_app()
    except (
        SettingsError,
        StoreUnavailable,
        ModelUnavailable,
        WeightsUnavailable,
        RuntimeError,
    ) as error:
        print(f"Cannot start: {error}", file=sys.stderr, flush=True)
        sys.exit(3)


def main() -> None:
    """Serve on HOST and PORT until told to stop."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"Cannot start: {error}")
    log.configure(settings.log_level, settings.log_format)
    structlog.get_logger().info("serving", host=settings.host, port=settings.port)
    _Server(settings).run()


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads. Each worker makes its own app: OpenVINO does not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        options: dict[str, Any] = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": "gthread",
            "timeout": 120,
            "graceful_timeout": 20,
            "keepalive": 30,
            "control_socket_disable": True,
            "logger_class": _Log,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app()


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's lines look like ours, and leave out what is no news."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  gunicorn is not typed
        self.loglevel = logging.WARNING
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True


if __name__ == "__main__":
    main()
