"""The gunicorn worker: uvicorn, with this service's bounds."""

import logging
import os
import signal
from functools import partial
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

from app.server import Bounds
from app.server.connections import Connection, Crowd

_STOP_S = 15  # for requests that are under way when the service is told to stop


def worker_with(bounds: Bounds) -> type[UvicornWorker]:
    """The class of workers with these bounds: gunicorn makes the worker itself."""

    class Worker(UvicornWorker):  # type: ignore[misc]
        CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
            "loop": "uvloop",
            "http": partial(Connection, crowd=Crowd(bounds.connections, bounds.patience_s)),
            "ws": "none",
            "lifespan": "on",
            "access_log": False,
            "proxy_headers": False,  # TRUSTED_PROXIES says which ones are believed
            "server_header": False,
            "timeout_graceful_shutdown": _STOP_S,
        }

        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **options)
            # it speaks of what strangers send and of clients that go; we have lines of our own
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

        def handle_exit(self, sig: int, frame: object) -> None:
            """End in good order on SIGQUIT, too, which uvicorn does not listen to."""
            os.kill(os.getpid(), signal.SIGTERM)

    return Worker
