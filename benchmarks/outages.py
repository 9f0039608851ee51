"""Measure how fast the service answers and recovers if MongoDB fails: docs/reliability.md."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import sections
from testbed import outages
from testbed.crowd import Face, faces
from testbed.mongod import Mongod, ReplicaSet
from testbed.outages import ENROLLED, PASSWORD, Course, Outage
from testbed.serving import ROOT, RunningService

DOCUMENT = ROOT / "docs" / "reliability.md"

SIMPLE: dict[str, Outage] = {
    "hung (SIGSTOP)": outages.hung,
    "slow (each command takes 4 s)": outages.slow,
    "every connection is cut mid-command": outages.cut,
    "killed, and restarted later": outages.killed,
}
CREDENTIALS: dict[str, Outage] = {
    "the password is wrong": outages.password_changed,
    "the user has no rights": outages.rights_revoked,
}


def main() -> None:
    """Go through every outage, and write the table."""
    crowd = faces(ENROLLED + 1)
    rows = [
        "| the database | login | enrolment | deletion | `/readyz` | ready again after | repeated |"
    ]
    rows.append("|---|---:|---:|---:|---:|---:|---|")
    with TemporaryDirectory() as folder:
        for name, course in courses(Path(folder), crowd):
            rows.append(row(name, course))
            print(rows[-1], flush=True)
    sections.write(DOCUMENT, "outages", rows)


def row(name: str, course: Course) -> str:
    """Return a row of the table. Every answer must be a 503."""
    assert {status for status, _ in course.answers.values()} == {503}
    cells = [f"{course.answers[c][1]:.2f} s" for c in ("login", "enrol", "delete", "readyz")]
    whole = course.found == ENROLLED + 1 and course.listed == 1
    verdict = f"{course.repeated}, there once" if whole else "LOST"
    return f"| {name} | {' | '.join(cells)} | {course.recovered_s:.2f} s | {verdict} |"


def courses(folder: Path, crowd: list[Face]) -> Iterator[tuple[str, Course]]:
    """Yield every outage; each has its own mongod and service."""

    def course(outage: AbstractContextManager[object], url: str, **variables: str) -> Course:
        with RunningService(folder, **outages.environment(url, **variables)) as service:
            return outages.go_through(service, crowd, outage)

    with Mongod() as mongod:
        yield "not up when the service starts", course_from_the_start(folder, mongod, crowd)
    for name, outage in SIMPLE.items():
        with Mongod() as mongod:
            yield name, course(outage(mongod), f"{mongod.address}/people")
    for name, outage in CREDENTIALS.items():
        with Mongod() as mongod:
            outages.user(mongod, "createUser", pwd=PASSWORD, roles=["readWrite"])
            mongod.stop()
            mongod.start(auth=True)
            credentials = {"MONGO_DB_USERNAME": "service", "MONGO_DB_PASSWORD": PASSWORD}
            yield name, course(outage(mongod), f"{mongod.address}/people", **credentials)
    right, wrong = (outages.certificate(folder, name) for name in ("right", "wrong"))
    with Mongod() as mongod:
        yield (
            "demands TLS",
            course(outages.tls_demanded(mongod, right), f"{mongod.address}/people"),
        )
    with Mongod() as mongod:
        mongod.stop()
        mongod.start(*outages.tls(right))
        url = f"{mongod.address}/people?tls=true&tlsCAFile={right}"
        yield (
            "shows a certificate of another CA",
            course(outages.other_ca(mongod, right, wrong), url),
        )
    with ReplicaSet() as replica_set:
        url = replica_set.url.replace("/?", "/people?")
        yield (
            "two of three members of a replica set are killed",
            course(outages.no_quorum(replica_set), url),
        )


def course_from_the_start(folder: Path, mongod: Mongod, crowd: list[Face]) -> Course:
    """Start the service while mongod is down; another process has enrolled people before."""
    environment = outages.environment(f"{mongod.address}/people")
    with RunningService(folder, **environment) as before:
        outages.enrol(before, crowd)
    mongod.stop()

    @contextmanager
    def down() -> Iterator[None]:
        yield
        mongod.start()

    with RunningService(folder, ready=False, **environment) as service:
        service.wait_for("/healthz", 200)
        return outages.go_through(service, crowd, down(), enrolled=True)


if __name__ == "__main__":
    main()
