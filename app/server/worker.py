"""A gunicorn worker that runs uvicorn within this service's bounds."""

import logging
import os
import signal
from functools import partial
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

from app.server import Bounds
from app.server.connections import Connection, OpenConnections

_SHUTDOWN_S = 15  # for requests in progress; gunicorn kills the worker after 20 s


def worker_with(bounds: Bounds) -> type[UvicornWorker]:
    """Return a worker class with these bounds. gunicorn takes a class and creates the workers."""

    class Worker(UvicornWorker):  # type: ignore[misc]
        CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
            "loop": "uvloop",
            "http": partial(
                Connection, open_connections=OpenConnections(bounds.connections, bounds.timeout_s)
            ),
            "ws": "none",
            "lifespan": "on",
            "access_log": False,
            "proxy_headers": False,  # the app evaluates them as TRUSTED_PROXIES says
            "server_header": False,
            "timeout_graceful_shutdown": _SHUTDOWN_S,
        }

        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **options)
            # It logs malformed requests and lost clients, which this service logs in its own way.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

        def handle_exit(self, sig: int, frame: object) -> None:
            """Shut down gracefully on SIGQUIT as well, which uvicorn does not handle."""
            os.kill(os.getpid(), signal.SIGTERM)

    return Worker
