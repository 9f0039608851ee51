"""A real redis-server on loopback, for tests."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from testbed.missing import Missing

PACKAGE = "redis-server"
START_S = 10.0


class Redis:
    """One redis-server that keeps nothing; a context manager that ends it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; return when it takes connections."""
        self._process = subprocess.Popen(
            [
                _binary(),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self._folder)),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        """End it; its counts are gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def _binary() -> str:
    if path := shutil.which("redis-server"):
        return path
    raise Missing(f"redis-server is missing: apt-get install {PACKAGE}")
