"""Count the requests that fail while workers and pods are replaced under load.

Each of eight clients logs in once and lists employees ten times, again and again.
`--seconds 20` loads each case for 20 s instead of 60. Pods are two services with one database
behind HAProxy (Debian's package), which asks for /readyz as a cluster does.
"""

import argparse
import os
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import sections
from testbed.photos import ASTRONAUT
from testbed.serving import ROOT, RunningService, free_port
from testbed.steady_clients import Observed, clients_at_work

DOCUMENT = ROOT / "docs" / "reliability.md"
CLIENTS = 8
ROUNDS = 2  # in which each worker or pod is replaced once
# A pod that is not ready is left after 2 s.
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 300s
  option redispatch
frontend clients
  bind 127.0.0.1:{port}
  default_backend pods
backend pods
  balance leastconn
  option httpchk GET /readyz
  default-server check inter 1s fall 2 rise 1
{servers}
"""

Pods = list[RunningService]


def stop_workers(pods: Pods, pause_s: float) -> None:
    """Stop each worker of the one service, and wait for the one that replaces it."""
    (service,) = pods
    for _ in range(ROUNDS):
        for worker in service.workers():
            ready = service.times_ready
            os.kill(worker, signal.SIGTERM)
            service.wait_workers(ready + 1)
            time.sleep(pause_s)


def reload(pods: Pods, pause_s: float) -> None:
    """Replace all workers of the one service."""
    (service,) = pods
    for _ in range(ROUNDS):
        ready = service.times_ready
        service.process.send_signal(signal.SIGHUP)
        service.wait_workers(ready + 2)
        time.sleep(2 * pause_s)


def replace_pods(pods: Pods, pause_s: float) -> None:
    """Stop one pod after the other, and start it again."""
    for _ in range(ROUNDS):
        for pod in pods:
            pod.stop()
            pod.__enter__()
            time.sleep(pause_s)


CASES: dict[str, tuple[int, Callable[[Pods, float], None]]] = {
    "each of two workers stopped twice": (1, stop_workers),
    "all workers replaced twice (`SIGHUP`)": (1, reload),
    "each of two pods replaced twice, behind HAProxy": (2, replace_pods),
}
"""For each case, the number of pods, and what happens to them."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    rows = ["| | connections | requests answered | failed | longest |", "|---|---|---:|---:|---:|"]
    for name, (count, happens) in CASES.items():
        for keep_alive in (True, False):
            observed = measure(count, happens, keep_alive, seconds)
            rows.append(
                f"| {name} | {'kept' if keep_alive else 'a new one each'} | {observed.answered} | "
                f"{observed.failures.total()} | {observed.longest_s:.1f} s |"
            )
            print(rows[-1], dict(observed.failures) or "", flush=True)
    sections.write(DOCUMENT, "rolling", rows)


def measure(
    count: int, happens: Callable[[Pods, float], None], keep_alive: bool, seconds: float
) -> Observed:
    """Return what clients observe while it happens to so many pods."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        workers = "2" if count == 1 else "1"
        pods = [
            stack.enter_context(
                RunningService(Path(folder), WORKERS=workers, DRAIN_S="5", LOG_LEVEL="info")
            )
            for _ in range(count)
        ]
        pods[0].wait_workers(int(workers))
        photo = b64encode(ASTRONAUT.read_bytes()).decode()
        body = {"name": "Eileen", "surname": "Collins", "img_base64": photo}
        assert pods[0].call("POST", "/api/store/1", json=body).status_code == 200
        port = pods[0].port if count == 1 else stack.enter_context(balanced(pods, Path(folder)))
        until = time.monotonic() + seconds
        with clients_at_work(port, photo, keep_alive=keep_alive, clients=CLIENTS) as observed:
            happens(pods, seconds / 20)
            time.sleep(max(0.0, until - time.monotonic()))
        return observed


@contextmanager
def balanced(pods: Pods, folder: Path) -> Iterator[int]:
    """Run HAProxy before the pods, and yield its port."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    port, file = free_port(), folder / "haproxy.cfg"
    servers = [f"  server pod-{pod.port} 127.0.0.1:{pod.port}" for pod in pods]
    file.write_text(HAPROXY.format(port=port, servers="\n".join(servers)))
    process = subprocess.Popen([program, "-db", "-q", "-f", str(file)])
    try:
        time.sleep(3)  # until it has found out that the pods are ready
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
