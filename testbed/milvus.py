"""A real milvus-lite server on loopback, for tests."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread
from typing import Any, Self

from app.gallery import IndexUnavailable
from app.gallery.milvus_index import Address, MilvusIndex, import_client
from testbed.freezing import frozen
from testbed.serving import drain, free_port

_START_S = 30.0
_PORTS = 5  # to try


class Ended(Exception):
    """milvus-lite has ended at its start."""


class MilvusServer:
    """One milvus-lite process with a data folder of its own; a context manager that ends both.

    It serves one request at a time, because its engine takes no concurrent writers.
    """

    def __init__(self) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="milvus-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """As MILVUS_URI names it."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for _ in range(_PORTS):
            try:
                self.start()
                return self
            except Ended:
                self.port = free_port()  # another process was faster to take it
        raise AssertionError("milvus-lite does not start")

    def __exit__(self, *raised: object) -> None:
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self) -> None:
        """Start the process; return when it answers."""
        self._process = subprocess.Popen(
            [
                *(Path(sys.executable).parent / "milvus-lite", "server"),
                *("--data-dir", self._data, "--max-workers", "1"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
            ],
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout
        Thread(target=drain, args=(self._process.stdout,), daemon=True).start()
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.client().close()
            except Exception:
                if self._process.poll() is not None:
                    raise Ended from None
                assert time.monotonic() < deadline, "milvus-lite does not answer"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End the process as a crash would."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=20)

    def frozen(self) -> AbstractContextManager[None]:
        """Freeze the process while the block runs; see `testbed.freezing`."""
        assert self._process
        return frozen(self._process.pid)

    def client(self) -> Any:  # noqa: ANN401  pymilvus is not typed
        """A plain client."""
        return import_client()(uri=self.uri, timeout=5.0, dedicated=True)

    def index(self, prefix: str, dimension: int = 8, timeout_s: float = 20) -> MilvusIndex:
        """An index of the model `dlib`, made."""
        index = MilvusIndex(Address(self.uri, None, timeout_s), prefix, "dlib", dimension)
        try:
            index.prepare()
        except IndexUnavailable:
            # milvus-lite ends a connection that is pinged every 10 s, as pymilvus does ("too many
            # pings"); the next one works
            index.prepare()
        return index
