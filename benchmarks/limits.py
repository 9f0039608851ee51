"""Measure the service within the limits of a container: `make limits`, docs/operations.md.

For each limit: the time to a start, logins a second, then what an attack with the costliest
pictures and bodies does to memory. It takes root and cgroups of version 1.
"""

import base64
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import requests
from PIL import Image

from app.machine import Share
from app.settings import budgets
from benchmarks import sections
from benchmarks.load import run
from benchmarks.pictures import jpeg, login_body, people
from benchmarks.services import GLIBC, LOGGED, enrol
from testbed.cgroups import limited
from testbed.photos import encoded
from testbed.serving import ROOT, RunningService

DOCUMENT = ROOT / "docs" / "operations.md"
CPUS = (0.5, 1.0, 2.0)
MEMORY_MIB = (512, 1024)
CLIENTS = 4
ATTACKERS = 32
SECONDS = 20.0  # of logins, and of the attack


def costliest(share: Share) -> list[bytes]:
    """Return the bodies that take the most memory of those that the budgets admit."""
    side = int((budgets.megapixels(share, 1) * 1e6) ** 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    large = Image.fromarray(noise).resize((side, side))
    pictures = [
        encoded(large, "JPEG", quality=50, progressive=True),
        encoded(Image.new("RGBA", (side, side)), compress_level=1),
    ]
    film = [jpeg(people()[0].login)] * 16
    longest = b'{"name": "' + b"n" * int(budgets.body_mb(share, 1) * 1e6 - 20) + b'"}'
    encoded_film = [base64.b64encode(frame).decode() for frame in film]
    frames = {"img_base64": encoded_film[0], "frames": encoded_film[1:], "fraud_detection": True}
    fitting = [body for body in map(login_body, pictures) if len(body) < len(longest)]
    return [*fitting, json.dumps(frames).encode(), longest]


def attack(service: RunningService, bodies: list[bytes]) -> Counter[str]:
    """Send the bodies from many clients at once. Return how many got which answer."""
    until = time.monotonic() + SECONDS

    def client(number: int) -> Counter[str]:
        answers: Counter[str] = Counter()
        for body in islice(cycle(bodies), number, None):
            if time.monotonic() > until:
                return answers
            try:
                headers = {"Content-Type": "application/json"}
                response = service.call("POST", "/api/find_match", data=body, headers=headers)
                answers[str(response.status_code)] += 1
            except requests.RequestException:
                answers["none"] += 1
        raise AssertionError

    with ThreadPoolExecutor(ATTACKERS) as pool:
        return sum(pool.map(client, range(ATTACKERS)), Counter())


def measure(cpus: float, memory_mib: int) -> str:
    """Return a row of the table."""
    crowd = people()
    with TemporaryDirectory() as name, limited(cpus, memory_mib) as cgroup:
        folder = Path(name)
        bodies = []
        for person in crowd:
            bodies.append(folder / f"{person.employee_id}.json")
            bodies[-1].write_bytes(login_body(jpeg(person.login)))
        began = time.monotonic()
        with RunningService(folder, wrapper=cgroup.wrapper, **LOGGED | GLIBC) as service:
            ready_s = time.monotonic() - began
            enrol(service, crowd)
            run(service.port, bodies, CLIENTS, 3)  # warm up
            tally = run(service.port, bodies, CLIENTS, SECONDS)
            used_mb = cgroup.peak_mb
            answers = attack(service, costliest(Share(cpus, True, memory_mib << 20)))
            peak_mb, kills = cgroup.peak_mb, cgroup.kills
            service.wait_ready()
            login = service.call("POST", "/api/find_match", data=bodies[0].read_bytes(),
                                 headers={"Content-Type": "application/json"})  # fmt: skip
            assert login.status_code == 200, login.text
            service.stop()
    print(f"{cpus} CPUs, {memory_mib} MiB:", dict(answers), file=sys.stderr)
    rate = len(tally["answered_s"]) / SECONDS
    p50, p99 = np.percentile(tally["answered_s"], (50, 99)) * 1e3
    return (
        f"| {cpus:g} | {memory_mib} MiB | {ready_s:.1f} s | {rate:.0f} | {p50:.0f}, {p99:.0f} ms | "
        f"{used_mb:.0f} MB | {sum(answers.values())} | {peak_mb:.0f} MB | {kills} |"
    )


def main() -> None:
    """Measure all limits, and write the table."""
    rows = [
        "| CPUs | memory | start | logins a second | median, p99 | peak of the logins "
        "| requests of the attack | its peak | killed for memory |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for memory_mib in MEMORY_MIB:
        for cpus in CPUS:
            rows.append(measure(cpus, memory_mib))
            print(rows[-1], flush=True)
    sections.write(DOCUMENT, "limits", rows)


if __name__ == "__main__":
    main()
