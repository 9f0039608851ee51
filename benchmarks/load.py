"""Measure how many logins a second the service answers under load, and how long each takes."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.memory import memory_of
from benchmarks.pictures import jpeg, login_body, people
from benchmarks.rounds import Effort
from benchmarks.services import service_with_gallery, setups
from testbed.serving import ROOT

CLIENTS = {1: 10, 4: 10, 16: 10, 64: 30}
"""Clients → seconds, in each round."""


def measure(effort: Effort) -> dict[str, Any]:
    """Measure rates, latencies and statuses by the number of clients, and memory, of each model.

    Each round covers all numbers of clients, so that other load on the machine affects all alike.
    """
    crowd = people()
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        bodies = []
        for person in crowd:
            bodies.append(folder / f"{person.employee_id}.json")
            bodies[-1].write_bytes(login_body(jpeg(person.login)))
        for setup in setups().values():
            with service_with_gallery(setup, folder / setup.name, crowd) as service:
                run(service.port, bodies, clients=4, seconds=effort(1, 3))  # warm up
                before = memory_of(service.process.pid)
                rounds = [
                    {
                        clients: run(service.port, bodies, clients, effort(1, seconds))
                        for clients, seconds in CLIENTS.items()
                    }
                    for _ in range(effort(1, 3))
                ]
                figures[setup.name] = {
                    "clients": {
                        str(clients): _together([tallies[clients] for tallies in rounds])
                        for clients in CLIENTS
                    },
                    "memory_warm": before,
                    "memory_after_load": memory_of(service.process.pid),
                }
    return figures


def run(port: int, bodies: list[Path], clients: int, seconds: float) -> dict[str, Any]:
    """Let another process send the load, and return what its clients observed."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.clients",
            str(port),
            str(clients),
            str(seconds),
            *bodies,
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=seconds + 120,
    )
    tally: dict[str, Any] = json.loads(done.stdout)
    return tally | {"seconds": seconds}


def _together(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median rate, and the latencies and statuses of all rounds together."""
    rates = [len(tally["answered_s"]) / tally["seconds"] for tally in rounds]
    statuses = sum((Counter(tally["statuses"]) for tally in rounds), Counter[str]())
    return {
        "seconds": rounds[0]["seconds"],
        "statuses": dict(statuses),
        "503_without_retry_after": sum(tally["without_retry_after"] for tally in rounds),
        "logins_per_second": float(np.median(rates)),
        "rates": rates,
        "answered_ms": _percentiles([s for tally in rounds for s in tally["answered_s"]]),
        "logged_in_ms": _percentiles([s for tally in rounds for s in tally["logged_in_s"]]),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return (
        {f"p{p}": float(np.percentile(seconds, p)) * 1e3 for p in (50, 95, 99)} if seconds else {}
    )
