"""The service as it is deployed: a real process started through `entry.py`, on loopback."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

import requests
from flask import Flask

from app import create_app, log
from app.bootstrap import make_service
from app.lifecycle import Service
from app.settings import Settings
from models.network import Runtime
from testbed.log_scan import leaks
from testbed.runtimes import remembering_runtime

ROOT = Path(__file__).parent.parent
# Shared by all tests, so that weights are downloaded once.
MODELS_DIR = ROOT / ".cache" / "models"

# All tests call from one address, and let many logins fail.
UNLIMITED = {"address_requests_per_minute": 0, "key_requests_per_minute": 0, "login_failures": 0}

START_S = 60.0
_POLL_S = 0.02


class RunningService:
    """A process that serves; a context manager that waits until it is ready and ends it.

    folder: where the SQLite file and the log are; started again there, it finds its employees.
    ready: False does not wait, for services that cannot come up yet.
    tree: where the service lies. wrapper: a command that runs it.
    script: what is run, relative to the tree.
    variables: more of its environment, which inherits nothing from the tests' own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ready: bool = True,
        tree: Path | None = None,
        wrapper: Sequence[str] = (),
        script: str = "entry.py",
        **variables: str,
    ) -> None:
        self._tree = tree or ROOT
        self._command = [*wrapper, sys.executable, script]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._wait = ready
        self.log_file = folder / f"service-{self.port}.log"
        self.environment = environment(
            HOST="127.0.0.1",
            PORT=str(self.port),
            SQLITE_PATH=str(folder / "employees.db"),
            **variables,
        )
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._tree,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise
        return self

    def __exit__(self, *raised: object) -> None:
        # nothing is lost by it, and it is faster than a graceful end
        self.kill()
        assert leaks(self.log) == []

    @property
    def log(self) -> str:
        """All it has printed so far."""
        return self.log_file.read_text()

    def stop(self) -> int:
        """End it in good order, as a rollout does; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """End it and its workers as a crash would."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def workers(self) -> list[int]:
        """The process ids of the workers that run at this moment."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    @property
    def times_ready(self) -> int:
        """How many workers have logged, at `info` or below, that they are ready."""
        return len(re.findall(r'\] ready +|"event": "ready"', self.log))

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return when /readyz says 200."""
        self.wait_for("/readyz", 200, timeout_s)

    def wait_workers(self, count: int) -> None:
        """Return when so many workers have been ready. /readyz tells of one of them."""
        deadline = time.monotonic() + START_S
        while self.times_ready < count:
            assert time.monotonic() < deadline, self.log
            time.sleep(_POLL_S)

    def wait_for(self, path: str, status: int, timeout_s: float = START_S) -> requests.Response:
        """The first answer at `path` with that status."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                response = self.call("GET", path)
                if response.status_code == status:
                    return response
            except requests.ConnectionError:
                pass
            try:
                self.process.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"no {status} at {path}:\n{self.log}")

    def call(self, method: str, path: str, **options: object) -> requests.Response:
        """One request over a connection of its own; safe in threads."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, **{"timeout": 30} | options)


def environment(**variables: str) -> dict[str, str]:
    """A minimal environment in which the service starts without a download."""
    defaults = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONUNBUFFERED": "1",
        "MODELS_DIR": str(MODELS_DIR),
        "FACE_MODEL": "dlib",
        "LOG_LEVEL": "debug",
        "DRAIN_S": "0",
    } | {name.upper(): str(limit) for name, limit in UNLIMITED.items()}
    return defaults | variables


def ready_app(
    folder: Path,
    *,
    runtime_for: Callable[[str], Runtime] = remembering_runtime,
    ready: bool = True,
    **settings: object,
) -> Flask:
    """The app in this process, with its SQLite file in `folder`, ready to log people in.

    runtime_for: as `choose_runtime`. ready: False does not wait, as of RunningService.
    """
    chosen = only(**{"sqlite_path": folder / "employees.db"} | settings)
    log.configure(chosen.log_level, chosen.log_format)
    app = create_app(chosen, make_service(chosen, runtime_for=runtime_for))
    if ready:
        wait_until_loaded(app.extensions["service"])
    return app


def wait_until_loaded(service: Service) -> None:
    """Return when the service has loaded its gallery."""
    deadline = time.monotonic() + START_S
    while not service.is_loaded:
        assert time.monotonic() < deadline
        time.sleep(_POLL_S)


def only(**settings: object) -> Settings:
    """Return settings with these values, ignoring the environment, above all its MONGO_DB_URL."""
    values = {name: field.default for name, field in Settings.model_fields.items()}
    chosen = {"models_dir": MODELS_DIR, "face_model": "dlib", "log_level": "debug"} | UNLIMITED
    return Settings(**values | chosen | settings)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def drain(output: IO[bytes]) -> None:
    """Read and discard the output of a process, so that it can go on writing."""
    for _ in output:
        pass
