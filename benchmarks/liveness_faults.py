"""Tries every fault of the liveness service on a real service, over real sockets.

`python -m benchmarks.liveness_faults` writes its table into docs/reliability.md, and measures how
long a login with liveness takes beside its two parts.
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
from models.openvino import OpenVinoRuntime
from testbed import films
from testbed.photos import ASTRONAUT, picture
from testbed.serving import MODELS_DIR, ROOT, RunningService
from tools.liveness_service import FAULTS, PATH, LivenessService

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- liveness faults -->", "<!-- liveness faults end -->"
VERDICT_S = 0.3
ROUNDS = 15

_SECTION = """\
{begin}
## The liveness service

`python -m benchmarks.liveness_faults` tried these faults of the liveness service on the running
service, over real sockets, with the settings' defaults ({timeout} for a verdict, all attempts
together, 4 s of silence, 2 retries). Each login shows an enrolled, living face, so that only the
missing verdict keeps it out. Every answer is one short sentence with `Retry-After`. The stand-in
with the faults is `tools/liveness_service.py`; `tests/integration/test_liveness_client.py` tries
them at every `make test`.

| fault | status | time to answer | let in |
|---|---:|---:|---|
{rows}

After five questions in a row that reach nobody, nobody is asked for 2 s: a login is then answered
in {open}. One trial decides how it goes on. Asked again is where nothing was decided and that was
plain at once: refused or reset connections, answers cut off, and 502, 503 and 504. A question
changes nothing, so to repeat it is harmless; but a service that was silent for too long is not
asked again, as it would be slower still.

A login with liveness takes the longer of its two parts, not their sum. With a stand-in that takes
300 ms, median of {rounds}: recognition with the frames {recognition}, the verdict {verdict}, the
login {login}, which is {ratio} the longer part.
{end}"""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def main() -> None:
    portrait = films.portrait(
        picture(ASTRONAUT), FaceDetector(OpenVinoRuntime(MODELS_DIR / "converted"))
    )
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
    section = _SECTION.format(
        begin=BEGIN,
        end=END,
        timeout="5 s",
        rows="\n".join(rows),
        open=milliseconds(when_open),
        rounds=ROUNDS,
        recognition=milliseconds(recognition),
        verdict=milliseconds(verdict),
        login=milliseconds(login),
        ratio=f"{login / max(recognition, verdict):.2f} ×",
    )
    print(section)
    page = PAGE.read_text() if PAGE.exists() else f"# Reliability\n\n{BEGIN}{END}\n"
    if BEGIN not in page:
        page += f"\n{BEGIN}{END}\n"
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + section + rest.partition(END)[2])
    if any("**yes**" in row for row in rows):
        sys.exit("somebody was let in")


if __name__ == "__main__":
    main()
