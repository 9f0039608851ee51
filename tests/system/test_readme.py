"""Every command of the README runs, in order, in a fresh copy of the repository.

Instead of installing, `.venv` refers to the packages that run this test, and the service listens
on a free port. `make test` and the like are only resolved, because a test cannot run all tests.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testbed.serving import MODELS_DIR, ROOT, free_port

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"`((?:\w+=\S+ )?make [^`]+)`", README)
START_S = 120.0


class Newcomer:
    """Types commands in a copy of the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "FACE_MODEL": "dlib",  # needs no download
            "MODELS_DIR": str(MODELS_DIR),
        }

    @property
    def log(self) -> str:
        """What the service has printed."""
        return (self.folder / "log").read_text()

    def start(self, command: str) -> None:
        """Start the service and wait until it is ready."""
        with (self.folder / "log").open("wb") as log:
            self.service = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while self.run("curl -sf localhost:5005/readyz").returncode:
            assert self.service.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.2)

    def run(self, block: str) -> subprocess.CompletedProcess[str]:
        """Run a block as it is, except for the port."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace(":5005", f":{self.port}")],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A newcomer whose service is running, started as docs/operations.md says."""
    folder = tmp_path_factory.mktemp("newcomer") / "repository"
    left_out = shutil.ignore_patterns(".*", "data", "weights", "docs", "tests", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=left_out)
    install(folder)
    found = Newcomer(folder)
    try:
        found.start(BLOCKS[0])
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.killpg(found.service.pid, signal.SIGKILL)
        found.service.wait()


def install(folder: Path) -> None:
    """Let `.venv` refer to the packages of this Python, with the stamps of `make install`."""
    (folder / ".venv/bin").mkdir(parents=True)
    python = folder / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/bin/pip").touch()
    (folder / ".venv/lib").symlink_to(Path(sys.prefix, "lib"))
    shown = subprocess.run(
        ["make", "--silent", "--eval", "stamps: ; @echo $(RUN) $(DEV)", "stamps"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    for stamp in shown.stdout.split():
        (folder / stamp).touch()


def test_the_first_command_starts_the_service(newcomer: Newcomer) -> None:
    assert BLOCKS[0] == "make run\n"
    assert "ready" in newcomer.log


@pytest.mark.parametrize("block", [block for block in BLOCKS[1:] if "make test" not in block])
def test_a_command_does_what_the_readme_says(newcomer: Newcomer, block: str) -> None:
    done = newcomer.run(block)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = re.findall(r"^# (.*)", block, re.MULTILINE)
    if expected:
        assert done.stdout.replace("\n", "") == "".join(expected)


@pytest.mark.parametrize(
    "command",
    [line for block in BLOCKS if "make test" in block for line in block.splitlines()] + INLINE,
)
def test_other_make_commands_have_a_target(newcomer: Newcomer, command: str) -> None:
    done = newcomer.run(command.replace("make", "make --dry-run", 1))
    assert done.returncode == 0, done.stderr


def test_ctrl_c_stops_the_service(newcomer: Newcomer) -> None:
    """Run last."""
    os.killpg(newcomer.service.pid, signal.SIGINT)
    newcomer.service.wait(30)
    assert newcomer.run("curl -s localhost:5005/healthz").returncode != 0
    assert "Traceback" not in newcomer.log
