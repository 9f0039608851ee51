"""Measure what a second face model costs while a company changes to it.

`python -m benchmarks.second_model` serves with `dlib` alone, and with an InceptionResnetV1 beside
it, and writes a table to docs/changing-the-model.md.
"""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import sections
from benchmarks.memory import memory_of
from benchmarks.pictures import jpeg, people
from benchmarks.rounds import Timings
from benchmarks.services import GLIBC, setups
from testbed.serving import ROOT, RunningService

DOCUMENT = ROOT / "docs/changing-the-model.md"
ROUNDS = 60
WARM_UP = 10
ID = 1


def main() -> None:
    """Measure in turns, and write the table."""
    photo = base64.b64encode(jpeg(people(1)[0].login)).decode()
    common = GLIBC | setups()["facenet"].variables | {"FACE_MODEL": "dlib", "LOG_LEVEL": "warning"}
    second = {"SECOND_FACE_MODEL": "facenet", "SECOND_MODEL_NEEDS_CHECKS": "false"}
    timings = Timings()
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        RunningService(Path(one), **common) as alone,
        RunningService(Path(other), **common | second) as both,
    ):
        made = alone.call("POST", "/api/v2/feature-vectors", json={"photos": [photo]}).json()
        vector = made["vectors"][0]["feature_vector"]
        person = {"name": "x", "surname": "", "img_features": [vector]}

        def enrol(service: RunningService) -> None:
            """Enrol anew, without a sample of the second model."""
            service.call("DELETE", f"/api/{ID}")
            assert service.call("POST", f"/api/store/{ID}", json=person).status_code == 200

        def log_in(service: RunningService) -> None:
            answer = service.call("POST", "/api/find_match", json={"img_base64": photo})
            assert answer.status_code == 200, answer.text

        enrol(alone)
        for number in range(WARM_UP + ROUNDS):
            enrol(both)
            cases = {"one model": alone, "two, it enrols": both, "two, enrolled already": both}
            for case, service in cases.items():
                if number < WARM_UP:
                    log_in(service)
                else:
                    timings.timed(case, lambda service=service: log_in(service))
        enrolled = both.call("GET", "/api/v2/system").json()["second_model"]["enrolled"]
        assert enrolled == 1
        memory = [memory_of(service.process.pid)["pss_mb"] for service in (alone, both)]
    rows = ["| login, median of 60 | time |", "|---|---:|"]
    rows += [f"| {case} | {timings.median_ms(case):.0f} ms |" for case in timings.seconds]
    rows += ["", f"Memory: {memory[0]:.0f} MB with `dlib` alone, {memory[1]:.0f} MB with both."]
    print("\n".join(rows))
    sections.write(DOCUMENT, "second-model", rows)


if __name__ == "__main__":
    main()
