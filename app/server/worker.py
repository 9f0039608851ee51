"""A gunicorn worker that runs uvicorn within this service's bounds."""

import logging
from functools import partial
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

from app.server import FINISH_S, Bounds
from app.server.connections import Connection, OpenConnections
from app.server.crew import Crew
from app.server.leaving import LeavingServer


def worker_with(bounds: Bounds, crew: Crew) -> type[UvicornWorker]:
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
            "timeout_graceful_shutdown": FINISH_S,
        }

        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **options)
            # It logs malformed requests and lost clients, which this service logs in its own way.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

        async def _serve(self) -> None:
            self.config.app = self.wsgi
            self._server = LeavingServer(self.config, self.wsgi, crew, self.age, bounds.drain_s)
            self._install_sigquit_handler()
            await self._server.serve(sockets=self.sockets)

        def handle_exit(self, sig: int, frame: object) -> None:
            """End soon on SIGQUIT, which uvicorn does not handle."""
            self._server.should_exit = True

    return Worker
