"""`entry.py` with networks that fail as nobody expected, while the file `broken` is there.

The file lies in the folder of the SQLite file.
"""

import sys
from pathlib import Path

from flask import Flask

from app import create_app
from app.bootstrap import make_service, set_up_process
from app.settings import Settings
from entry import Server
from models.network import Network, NetworkSource, Outputs, Pixels
from models.openvino import OpenVinoRuntime


class BrokenRuntime(OpenVinoRuntime):
    """Runs each network as ever, unless there is a file `switch`."""

    def __init__(self, switch: Path) -> None:
        super().__init__()
        self._switch = switch

    def compile(self, source: NetworkSource) -> Network:
        network = super().compile(source)

        def run(pixels: Pixels) -> Outputs:
            if self._switch.exists():
                raise RuntimeError("broken")
            return network(pixels)

        return run


class BrokenServer(Server):
    """Serves an app with such networks."""

    def build(self, settings: Settings) -> Flask:
        switch = settings.sqlite_path.parent / "broken"
        service = make_service(settings, runtime_for=lambda _: BrokenRuntime(switch))
        return create_app(settings, service, self._metrics)


if __name__ == "__main__":
    settings = set_up_process()
    sys.exit(BrokenServer(settings, f"{settings.host}:{settings.port}").run())
