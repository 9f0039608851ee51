"""Ways in which a database fails, and what the service does meanwhile and afterwards."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.crowd import STRICT, Face, request
from testbed.missing import Missing
from testbed.mongod import Mongod, ReplicaSet
from testbed.serving import RunningService

TIMEOUT_S = 2.0
PASSWORD = "s3cret/p@ss:word"
ENROLLED = 5

Outage = Callable[[Mongod], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Course:
    """How an outage went.

    answers: status and seconds of each call made during it. recovered_s: from its end until the
    service is ready. found: number of people enrolled before who log in afterwards. repeated: the
    status of the enrolment made during it, sent again with its key; listed: how often it is there.
    """

    answers: dict[str, tuple[int, float]]
    recovered_s: float
    found: int
    repeated: int
    listed: int


def hung(mongod: Mongod) -> AbstractContextManager[object]:
    return mongod.frozen()


def slow(mongod: Mongod) -> AbstractContextManager[object]:
    return mongod.failing(blockConnection=True, blockTimeMS=4_000)


def cut(mongod: Mongod) -> AbstractContextManager[object]:
    return mongod.failing(closeConnection=True)


@contextmanager
def killed(mongod: Mongod) -> Iterator[None]:
    mongod.kill()
    yield
    mongod.start()


@contextmanager
def password_changed(mongod: Mongod) -> Iterator[None]:
    mongod.stop()
    mongod.start()
    user(mongod, "updateUser", pwd="another")
    mongod.stop()
    mongod.start(auth=True)
    yield
    mongod.stop()
    mongod.start()
    user(mongod, "updateUser", pwd=PASSWORD)
    mongod.stop()
    mongod.start(auth=True)


@contextmanager
def rights_revoked(mongod: Mongod) -> Iterator[None]:
    mongod.stop()
    mongod.start()
    user(mongod, "updateUser", roles=[])
    mongod.stop()
    mongod.start(auth=True)
    yield
    mongod.stop()
    mongod.start()
    user(mongod, "updateUser", roles=["readWrite"])
    mongod.stop()
    mongod.start(auth=True)


def user(mongod: Mongod, command: str, **options: object) -> None:
    with mongod.client() as client:
        client["people"].command(command, "service", **options)


def tls_demanded(mongod: Mongod, certificate: Path) -> AbstractContextManager[object]:
    return _restarted(mongod, tls(certificate), ())


def other_ca(mongod: Mongod, right: Path, wrong: Path) -> AbstractContextManager[object]:
    return _restarted(mongod, tls(wrong), tls(right))


@contextmanager
def _restarted(
    mongod: Mongod, during: tuple[str, ...], afterwards: tuple[str, ...]
) -> Iterator[None]:
    mongod.stop()
    mongod.start(*during)
    yield
    mongod.stop()
    mongod.start(*afterwards)


def tls(certificate: Path) -> tuple[str, ...]:
    """Options of a mongod that demands TLS."""
    return "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate)


def certificate(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and its key, in one file."""
    key, made = folder / f"{name}.key", folder / f"{name}.crt"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {made}"
    )
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        raise Missing("openssl is missing: apt-get install openssl") from None
    both = folder / f"{name}.pem"
    both.write_text(key.read_text() + made.read_text())
    return both


@contextmanager
def no_quorum(replica_set: ReplicaSet) -> Iterator[None]:
    primary = replica_set.primary()
    lost = [primary, next(member for member in replica_set.members if member is not primary)]
    for member in lost:
        member.kill()
    yield
    for member in lost:
        member.start()


def environment(url: str, **more: str) -> dict[str, str]:
    """The service's, with a short time-out."""
    return STRICT | {"MONGO_DB_URL": url, "MONGO_DB_TIMEOUT_S": f"{TIMEOUT_S:g}"} | more


def enrol(service: RunningService, faces: list[Face]) -> None:
    """Enrol all faces but the last one."""
    for number, face in enumerate(faces[:-1], start=1):
        assert _call(service, number, "enrol", face)[0] == 200


def go_through(
    service: RunningService,
    faces: list[Face],
    outage: AbstractContextManager[object],
    enrolled: bool = False,
) -> Course:
    """Enrol unless that is done, call the service during the outage, and check it afterwards."""
    *known, new = faces
    if not enrolled:
        enrol(service, faces)
    with outage:
        answers = {
            "login": _call(service, 1, "login", known[0]),
            "enrol": _call(service, 99, "enrol", new),
            "readyz": _timed(service, "GET", "/readyz"),
            "delete": _call(service, 98, "delete", new),
        }
    began = time.monotonic()
    service.wait_ready(60)
    recovered_s = time.monotonic() - began
    repeated = _call(service, 99, "enrol", new)[0]
    found = [_call(service, 0, "login", face)[0] for face in faces]
    users = service.call("GET", "/api/get_all/100/1").json()["users"]
    listed = [user["_id"] for user in users]
    return Course(answers, recovered_s, found.count(200), repeated, listed.count(99))


def _call(service: RunningService, employee_id: int, kind: str, face: Face) -> tuple[int, float]:
    method, path, body = request(employee_id, kind, face)
    headers = {"Idempotency-Key": face.name} if kind == "enrol" else {}
    return _timed(service, method, path, json=body, headers=headers)


def _timed(service: RunningService, method: str, path: str, **more: object) -> tuple[int, float]:
    response = service.call(method, path, **more)
    return response.status_code, response.elapsed.total_seconds()
