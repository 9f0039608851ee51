"""`entry.py` with networks that hang, or take their time, while there is a file that says so.

The files `hang` and `slow` lie in the folder of the SQLite file. What has begun to hang never ends.
Each inference that does either leaves a file `begun-…` there.
"""

import sys
import time
from functools import partial
from pathlib import Path
from threading import Event
from uuid import uuid4

from flask import Flask

from app import create_app
from app.bootstrap import make_service, set_up_process
from app.settings import Settings
from app.watchdog import Watchdog, end_process
from entry import Server
from models.network import Network, NetworkSource, Outputs, Pixels
from models.openvino import OpenVinoRuntime

PATIENCE_S, GRACE_S, SLOW_S = 2.4, 1.0, 1.2


class HangingRuntime(OpenVinoRuntime):
    """Runs each network as ever, unless a file in `folder` says otherwise."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._switches = folder

    def compile(self, source: NetworkSource) -> Network:
        network = super().compile(source)

        def run(pixels: Pixels) -> Outputs:
            if source.embeds and (self._switches / "hang").exists():
                self._note()
                Event().wait()
            if source.embeds and (self._switches / "slow").exists():
                self._note()
                for _ in range(24):  # it does not wait for a clock, but works
                    time.sleep(SLOW_S / 24)
            return network(pixels)

        return run

    def _note(self) -> None:
        (self._switches / f"begun-{uuid4().hex}").touch()


class HangingServer(Server):
    """Serves an app with such networks."""

    def build(self, settings: Settings) -> Flask:
        service = make_service(
            settings,
            runtime_for=lambda _: HangingRuntime(settings.sqlite_path.parent),
            watch=lambda slots: Watchdog(slots, PATIENCE_S, end=partial(end_process, GRACE_S)),
        )
        return create_app(settings, service)


if __name__ == "__main__":
    settings = set_up_process()
    sys.exit(HangingServer(settings, f"{settings.host}:{settings.port}").run())
