"""`make stack` and the stand-in say in a sentence why they cannot start."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from testbed.serving import ROOT, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def run(module: str, *options: str, **variables: str) -> list[str]:
    """The lines of a start that fails, without those of what had started."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env=os.environ | {"HOST": "127.0.0.1"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_the_port_of_the_stand_in_is_in_use(taken: int) -> None:
    (line,) = run("tools.stack", "--liveness-port", str(taken))
    assert line.startswith(f"Cannot start: cannot listen on port {taken}: Address already in use.")
    (line,) = run("tools.liveness_service", "--port", str(taken))
    assert line == f"Cannot listen on 127.0.0.1:{taken} (--port): Address already in use"


@pytest.mark.mongod
def test_the_port_of_the_service_is_in_use(taken: int) -> None:
    (line,) = run("tools.stack", "--liveness-port", str(free_port()), PORT=str(taken))
    assert line.startswith(f"Cannot start: cannot listen on 127.0.0.1:{taken} (HOST, PORT)")
