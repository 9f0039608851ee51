"""Fuzz the image loader, the JSON bodies and the API; end with 1 where something fails.

python -m tests.fuzz [--cases N] [--seconds S] [--seed X] [--only picture:1234]
"""

import argparse
import ctypes
import faulthandler
import gc
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import structlog
from flask import Flask

from app.recognition import NotAnImage, UnusableImage
from app.recognition.image import Photo
from app.recognition.pixel_budget import PixelBudget
from models.runtime import choose_runtime
from testbed.serving import ready_app
from tests.fuzz import mutation
from tests.fuzz.api import NOT_HERE, fuzz_api

HANG_S = 2.0
GROWTH = 1.05
WARM = 0.2  # share of the cases after which memory is first looked at
_EACH = 500  # cases of one kind, then of the next
_CURRENT = Path(".cache/fuzz-case")

Case = Callable[[Random], str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", help="one case, as it was named: picture:1234")
    options = parser.parse_args()
    faulthandler.enable(sys.stdout)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libtiff remarks on every damaged file
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        app = ready_app(
            Path(folder),
            runtime_for=choose_runtime,
            log_level="error",
            max_body_mb=4,
            audit_log=f"{folder}/audit.log",
        )
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        kinds = {"picture": pictures(), "body": bodies(app)}
        if options.only:
            kind, _, number = options.only.partition(":")
            print(kinds[kind](Random(f"{options.seed}:{options.only}")), number)
            return 0
        code = run(app, kinds, options.cases, options.seconds, options.seed)
        app.extensions["service"].stop()
    return code


def run(app: Flask, kinds: dict[str, Case], cases: int, seconds: float, seed: str) -> int:
    """0 where all is well. Two pictures to each body; in the end schemathesis."""
    began, done, slowest = time.monotonic(), 0, (0.0, "")
    met: Counter[str] = Counter()
    failures: list[str] = []
    after_warm_up = 0.0
    _CURRENT.parent.mkdir(exist_ok=True)
    turns = ("picture", "body", "picture")
    with _CURRENT.open("wb", buffering=0) as current:
        while done < cases and time.monotonic() - began < seconds and len(failures) < 10:
            kind = turns[done // _EACH % len(turns)]
            faulthandler.dump_traceback_later(120, exit=True, file=sys.stdout)
            for number in range(done, min(done + _EACH, cases)):
                name = f"{kind}:{number}"
                current.seek(0)
                current.write(f"{name:<40}".encode())  # what it was, if this process crashes
                case_began = time.perf_counter()
                try:
                    met[f"{kind} {kinds[kind](Random(f'{seed}:{name}'))}"] += 1
                except Exception as error:
                    failures.append(f"{name}: {type(error).__name__}: {error}"[:300])
                took = time.perf_counter() - case_began
                slowest = max(slowest, (took, name))
                if took > HANG_S and (again := quickest(kinds[kind], seed, name)) > HANG_S:
                    failures.append(f"{name} took {again:.1f} s")
            done = min(done + _EACH, cases)
            if not after_warm_up and done >= WARM * cases:
                after_warm_up = resident_mb()
    faulthandler.cancel_dump_traceback_later()
    grown = resident_mb() / after_warm_up if after_warm_up else 1.0
    if grown > GROWTH:
        failures.append(f"memory grew to {grown:.3f} of what it was")
    took = time.monotonic() - began
    sent = fuzz_api(app, examples=100, seed=int(seed))
    print(f"{done} cases in {took:.0f} s, {sent} more by schemathesis, seed {seed}")
    print(
        f"slowest {slowest[0]:.2f} s ({slowest[1]}); memory {grown:.3f} of {after_warm_up:.0f} MB"
    )
    for outcome, count in sorted(met.items()):
        print(f"{count:8} {outcome}")
    if done < cases:
        print(f"time was up before {cases} cases")
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


def quickest(case: Case, seed: str, name: str) -> float:
    """Return the least time of three more runs: a busy machine alone must not count as a hang."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        with suppress(Exception):
            case(Random(f"{seed}:{name}"))
        times.append(time.perf_counter() - began)
    return min(times)


def pictures() -> Case:
    """The loader reads a damaged picture, or refuses it as the client's mistake."""
    samples = mutation.pictures()
    budget = PixelBudget(4e6)

    def case(rng: Random) -> str:
        data = mutation.damaged(rng, rng.choice(samples), samples)
        try:
            picture = Photo(data, 4, budget=budget).decode(rng.choice((16, 480)))
        except (NotAnImage, UnusableImage) as error:
            return type(error).__name__
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        return "read"

    return case


def bodies(app: Flask) -> Case:
    """The service answers a damaged body with anything but a 5xx."""
    samples = mutation.bodies()
    client = app.test_client()
    store = app.extensions["service"].store

    def case(rng: Random) -> str:
        call = rng.choice([*samples])
        body = mutation.damaged(rng, rng.choice(samples[call]), samples[call], tokens=True)
        method, path = call.split()
        response = client.open(
            path,
            method=method,
            data=body,
            content_type="application/json",
            headers={"Accept": "application/json"},
        )
        if response.status_code >= 500:
            assert response.get_json()["code"] in NOT_HERE, response.text
        if response.status_code == 200 and rng.random() < 0.5:
            with suppress(Exception):
                store.remove(1)
        return str(response.status_code)

    return case


def resident_mb() -> float:
    """Return the resident memory in MB, after freed memory was returned to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
