"""Measure whether memory, file descriptors and threads stay flat over 20,000 mixed requests.

`make endurance` writes docs/benchmarks/endurance.json and endurance.png. Memory is that of all
processes, shared pages counted once. `--requests 2000` sends fewer, and writes nothing.
"""

import argparse
import base64
import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np

from app.recognition.detector import FaceDetector
from benchmarks import machine
from benchmarks.memory import memory_of
from benchmarks.pictures import jpeg, people, phone_photo
from benchmarks.services import GLIBC, LOGGED, enrol
from models.openvino import OpenVinoRuntime
from testbed import films
from testbed.photos import WITHOUT_FACE
from testbed.serving import ROOT, RunningService

FOLDER = ROOT / "docs" / "benchmarks"
REQUESTS, BATCH, CLIENTS = 20_000, 500, 8
WARM = 1_000  # requests
AIM = 0.05  # of growth after that
STRANGERS = 4  # the last of the people, who are never enrolled
VARIABLES = LOGGED | GLIBC | {"WORKERS": "2"}

Request = tuple[str, str, Any]  # method, path, body


@dataclass(frozen=True, slots=True)
class Sample:
    """What all processes of the service hold after so many requests."""

    requests: int
    memory_mb: float
    descriptors: int
    threads: int


def mixed(rng: np.random.Generator) -> Iterator[Request]:
    """Yield requests without end: most are logins, some are wrong."""
    crowd = people()
    known, strangers = crowd[:-STRANGERS], crowd[-STRANGERS:]
    detector = FaceDetector(OpenVinoRuntime())
    film = films.bona_fide(films.portrait(np.asarray(known[0].login), detector), rng)
    no_faces = [photo.read_bytes() for photo in WITHOUT_FACE]
    logins = [_login(jpeg(person.login)) for person in known]
    large = [_login(phone_photo(person.login)) for person in known[:2]]
    leaving = known[-2:]  # deleted and enrolled again, now and then
    enrolments = [
        (
            "POST" if person in leaving else "PUT",
            f"/api/store/{person.employee_id}",
            {"name": "Ada", "surname": "Byron", "img_base64": _base64(jpeg(person.enrolment))},
        )
        for person in known
    ]
    probe, *frames = [_base64(frame) for frame in film]
    kinds: list[tuple[float, list[Request]]] = [
        (0.60, logins),
        (0.08, [_login(jpeg(person.login)) for person in strangers]),
        (0.05, [_login(photo) for photo in no_faces]),
        (0.01, large),
        (0.01, [("POST", "/api/find_match", {
            "img_base64": probe, "frames": frames, "fraud_detection": True,
        })]),
        (0.06, enrolments),
        (0.02, [("DELETE", f"/api/{person.employee_id}", None) for person in leaving]),
        (0.08, [("GET", "/api/get_all/30/1", None)]),
        (0.04, [("GET", path, None) for path in ("/readyz", "/healthz", "/metrics", "/version")]),
        (0.05, [
            ("POST", "/api/find_match", {"img_base64": "no picture"}),
            ("POST", "/api/find_match", {}),
            ("POST", "/api/store/none", {"name": "Ada"}),
            ("GET", "/nowhere", None),
        ]),
    ]  # fmt: skip
    shares = np.array([share for share, _ in kinds])
    while True:
        _, of_kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        yield of_kind[rng.integers(len(of_kind))]


def _base64(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


def _login(photo: bytes) -> Request:
    return "POST", "/api/find_match", {"img_base64": _base64(photo)}


def sample(service: RunningService, requests: int) -> Sample:
    """Read what the service holds."""
    arbiter = service.process.pid
    folders = [Path(f"/proc/{pid}") for pid in (arbiter, *service.workers())]
    return Sample(
        requests,
        memory_of(arbiter)["pss_mb"],
        sum(len(list((folder / "fd").iterdir())) for folder in folders),
        sum(len(list((folder / "task").iterdir())) for folder in folders),
    )


def endure(requests: int) -> tuple[list[Sample], Counter[str]]:
    """Send the requests, and return a sample after each batch, and the answers by status."""
    answers: Counter[str] = Counter()
    samples = []
    stream = mixed(np.random.default_rng(0))

    def send(request: Request) -> str:
        method, path, body = request
        status = service.call(method, path, json=body).status_code
        return f"{method} {path.rstrip('0123456789')} {status}"

    with (
        TemporaryDirectory() as name,
        RunningService(Path(name), **VARIABLES | {"AUDIT_LOG": f"{name}/audit.jsonl"}) as service,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        service.wait_workers(2)
        enrol(service, people()[:-STRANGERS])
        for sent in range(BATCH, requests + 1, BATCH):
            answers.update(pool.map(send, [next(stream) for _ in range(BATCH)]))
            samples.append(sample(service, sent))
            print(samples[-1], file=sys.stderr, flush=True)
    return samples, answers


def draw(samples: list[Sample], warm: Sample, file: Path) -> None:
    """Draw what the service held, relative to what it held when it was warm."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for label, name, unit in (
        ("memory", "memory_mb", " MB"),
        ("file descriptors", "descriptors", ""),
        ("threads", "threads", ""),
    ):
        first = getattr(warm, name)
        values = [getattr(each, name) / first for each in samples]
        axes.plot([each.requests for each in samples], values,
                  label=f"{label}: {first:.0f}{unit} when warm")  # fmt: skip
    axes.axhspan(1 - AIM, 1 + AIM, color="tab:grey", alpha=0.15, label="±5 %")
    axes.set(xlabel="requests", ylabel=f"relative to {WARM:,} requests", ylim=(0, 1.5))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure, write the figures, and print the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    options = parser.parse_args()
    before = machine.describe()
    samples, answers = endure(options.requests)
    warm, last = samples[WARM // BATCH - 1], samples[-1]
    print(json.dumps(answers, indent=1))
    if options.requests == REQUESTS:
        figures = {"answers": answers, "samples": [asdict(each) for each in samples]}
        made = {"machine": before, "figures": figures}
        (FOLDER / "endurance.json").write_text(json.dumps(made, indent=1) + "\n")
        draw(samples, warm, FOLDER / "endurance.png")
    growth = last.memory_mb / warm.memory_mb - 1
    print(f"memory {warm.memory_mb:.0f} MB → {last.memory_mb:.0f} MB ({growth:+.1%})")
    print(f"file descriptors {warm.descriptors} → {last.descriptors}")
    print(f"threads {warm.threads} → {last.threads}")


if __name__ == "__main__":
    main()
