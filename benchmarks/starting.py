"""Time a start until the first login is answered, and measure the memory it takes."""

import http.client
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.memory import memory_of
from benchmarks.pictures import Person, jpeg, login_body, people
from benchmarks.rounds import Effort, Timings
from benchmarks.services import Client, Setup, service_with_gallery, setups
from testbed.serving import RunningService

_TIMEOUT_S = 120
_POLL_S = 0.01


def measure(effort: Effort) -> dict[str, Any]:
    """Measure starts with each model."""
    crowd = people(2)
    return {setup.name: _starts(setup, crowd, effort(1, 7)) for setup in setups().values()}


def _starts(setup: Setup, crowd: list[Person], rounds: int) -> dict[str, Any]:
    timings, memory = Timings(), {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with service_with_gallery(setup, folder / "service", crowd):
            pass  # this leaves employees behind
        body = login_body(jpeg(crowd[0].login))
        for _ in range(rounds):
            memory = _start(setup, folder / "service", body, timings)
    return {"times": timings.summary(), "memory": memory}


def _start(setup: Setup, folder: Path, body: bytes, timings: Timings) -> dict[str, float]:
    """Time one start, and return the memory right after the first login."""
    began = time.perf_counter()
    with RunningService(folder, ready=False, **setup.variables) as service:
        while True:
            try:
                Client(service.port).login(body)
                break
            except (RuntimeError, http.client.HTTPException, OSError) as error:
                if service.process.poll() is not None or time.perf_counter() - began > _TIMEOUT_S:
                    raise RuntimeError(f"no login was answered:\n{service.log}") from error
                time.sleep(_POLL_S)
        timings.add("start", time.perf_counter() - began)
        return memory_of(service.process.pid)
