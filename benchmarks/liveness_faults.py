"""Try every fault of the liveness service on a real service, over real sockets.

`python -m benchmarks.liveness_faults` writes two tables into docs/reliability.md: the faults, and
the time of a login with liveness next to those of its parts.
"""

import base64
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import requests

from app.recognition.detector import FaceDetector
from benchmarks import sections
from models.openvino import OpenVinoRuntime
from testbed import films
from testbed.photos import ASTRONAUT, picture
from testbed.serving import ROOT, RunningService
from tools.liveness_faults import FAULTS
from tools.liveness_service import PATH, LivenessService

DOCUMENT = ROOT / "docs" / "reliability.md"
VERDICT_S = 0.3
ROUNDS = 15
HEAD = "| fault | status | time to answer | let in |"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def main() -> None:
    portrait = films.portrait(picture(ASTRONAUT), FaceDetector(OpenVinoRuntime()))
    frames = [text(frame) for frame in films.bona_fide(portrait, np.random.default_rng(1))]
    body = {"img_base64": text(ASTRONAUT.read_bytes()), "liveness": True, "frames": frames}
    with (
        tempfile.TemporaryDirectory() as folder,
        LivenessService() as liveness,
        RunningService(Path(folder), LIVENESS_SERVICE_URL=liveness.url) as service,
    ):
        employee = {"name": "Ada", "surname": "Lovelace", "img_base64": body["img_base64"]}
        service.call("POST", "/api/store/1", json=employee)

        def log_in() -> requests.Response:
            return service.call("POST", "/api/find_match", json=body)

        def tried(fault: str) -> str:
            began = time.perf_counter()
            response = log_in()
            elapsed = time.perf_counter() - began
            let_in = "**yes**" if response.ok else "no"
            return f"| {fault} | {response.status_code} | {milliseconds(elapsed)} | {let_in} |"

        rows = []
        for fault in FAULTS:
            liveness.told(rule="alive")
            assert log_in().ok, service.log  # and so the breaker is closed
            liveness.told(fault=fault)
            rows.append(tried(fault))
        liveness.told(rule="alive")
        assert log_in().ok
        with liveness.away():
            rows.insert(0, tried("away"))
            for _ in range(5):
                log_in()
            began = time.perf_counter()
            log_in()
            when_open = time.perf_counter() - began
        time.sleep(3)

        def median(call: Callable[[], requests.Response]) -> float:
            times = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                assert call().ok
                times.append(time.perf_counter() - began)
            return statistics.median(times)

        liveness.told(rule="alive")
        recognition = median(log_in)
        liveness.told(rule="alive", delay_s=VERDICT_S)
        with requests.Session() as session:
            session.trust_env = False
            verdict = median(lambda: session.post(liveness.url + PATH, json={"frames": frames}))
        login = median(log_in)
    sections.write(DOCUMENT, "liveness faults", [HEAD, "|---|---:|---:|---|", *rows])
    median_of = f"(median of {ROUNDS})"
    stand_in = f"a verdict from a stand-in that takes {milliseconds(VERDICT_S)}"
    parts = {
        "a login that does not ask, because the service could not be reached": when_open,
        f"recognition with the frames {median_of}": recognition,
        f"{stand_in} {median_of}": verdict,
        f"a login with liveness {median_of}": login,
    }
    measured = [f"| {what} | {milliseconds(seconds)} |" for what, seconds in parts.items()]
    sections.write(DOCUMENT, "liveness parts", ["| | |", "|---|---:|", *measured])
    print("\n".join([*rows, *measured]))
    if any("**yes**" in row for row in rows):
        sys.exit("somebody was let in")


if __name__ == "__main__":
    main()
