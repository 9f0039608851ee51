"""Let workers come and leave without losing a request."""

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from time import monotonic
from types import FrameType

import structlog
import uvicorn

from app.server.adapter import Adapter
from app.server.crew import Crew, State

log = structlog.get_logger()


class LeavingServer(uvicorn.Server):
    """uvicorn's server for one worker of a crew.

    A worker listens if it is ready and stays, or if no other worker does. Otherwise its answers
    say `Connection: close`, so that clients come back to another worker. All workers accept from
    one socket, so nobody is refused while one of them does not listen.

    On SIGTERM it goes on as before until its replacements are ready. Then it leaves: for `drain_s`
    it answers requests that still arrive, and it ends sooner if none can arrive any more.

    worker: its number in the crew.
    """

    def __init__(
        self, config: uvicorn.Config, adapter: Adapter, crew: Crew, worker: int, drain_s: float
    ) -> None:
        super().__init__(config)
        self._adapter = adapter
        self._crew = crew
        self._worker = worker
        self._drain_s = drain_s
        self._sockets: Sequence[socket.socket] = ()
        self._is_told_to_leave = False
        self._left_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Prepare to serve; `on_tick` decides when to listen."""
        self._sockets = sockets or ()
        await super().startup(sockets=[])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave on SIGTERM. On another signal, answer only what is in progress."""
        if sig == signal.SIGTERM:
            self._is_told_to_leave = True
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Listen or not, and return whether to end. uvicorn calls this ten times a second."""
        is_loaded = self._adapter.service.is_loaded
        is_replaced = not self._crew.another_is(State.STARTING, self._worker)
        if self._is_told_to_leave and self._left_at is None and (is_replaced or not is_loaded):
            self._leave()
        stays = self._left_at is None
        is_ready = is_loaded and stays
        state = State.READY if is_ready else State.STARTING if stays else State.LEAVING
        self._crew.note(self._worker, state)
        others_serve = self._crew.another_is(State.READY, self._worker)
        self._adapter.closes_connections = not is_ready
        await self._listen(is_ready or not others_serve)
        if self._left_at is not None:
            nobody_comes = others_serve and not self.server_state.connections
            if nobody_comes or monotonic() - self._left_at >= self._drain_s:
                super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in progress, and stop the service."""
        self._adapter.closes_connections = True
        self._crew.note(self._worker, State.LEAVING)
        log.info(
            "worker stops listening", worker=os.getpid(), in_progress=len(self.server_state.tasks)
        )
        await super().shutdown(sockets)
        log.info("worker has left", worker=os.getpid())

    def _leave(self) -> None:
        self._left_at = monotonic()
        self._adapter.service.leave()
        log.info(
            "worker is leaving",
            worker=os.getpid(),
            connections=len(self.server_state.connections),
            drain_s=self._drain_s,
        )

    async def _listen(self, listen: bool) -> None:
        """Accept connections from the workers' common socket, or leave them to others."""
        if listen and not self.servers:
            loop = asyncio.get_running_loop()
            self.servers = [
                await loop.create_server(
                    self._connection, sock=each.dup(), backlog=self.config.backlog
                )
                for each in self._sockets
            ]
        elif not listen and self.servers:
            for server in self.servers:
                server.close()
            self.servers = []

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
