"""Check every answer of the service under random writes and kills: docs/reliability.md."""

import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import requests

from benchmarks import sections
from benchmarks.outages import DOCUMENT
from testbed.crowd import STRICT, THRESHOLD, Crowd, Face, faces, request
from testbed.killing import workers_being_killed
from testbed.mongod import Mongod, ReplicaSet
from testbed.serving import RunningService

CLIENTS = 16
OPERATIONS = 2_000
ENROLMENTS = 3_000
ROUNDS = 30
EMPLOYEES = 16
FOUR_WORKERS = STRICT | {"WORKERS": "4", "LOG_LEVEL": "info"}


def main() -> None:
    """Run the soaks named in the arguments, or all, and write their tables."""
    for soak in (crowds, elections, crashes):
        if soak.__name__ in (sys.argv[1:] or soak.__name__):
            rows = soak()
            print("\n".join(rows), flush=True)
            sections.write(DOCUMENT, soak.__name__, rows)


@contextmanager
def database(kind: str) -> Iterator[tuple[Mongod | None, dict[str, str]]]:
    """Yield a mongod, or None for SQLite, and the service's settings."""
    with ExitStack() as stack:
        if kind == "SQLite":
            yield None, FOUR_WORKERS
        else:
            mongod = stack.enter_context(Mongod())
            yield mongod, FOUR_WORKERS | {"MONGO_DB_URL": f"{mongod.address}/people"}


def crowds() -> list[str]:
    """Send random operations from many clients to four workers, also while workers are killed."""
    rows = ["| | operations | 200 | refused | no answer | workers killed | impossible answers |"]
    rows.append("|---|---:|---:|---:|---:|---:|---:|")
    pictures = faces(2 * EMPLOYEES)
    for kind in ("SQLite", "MongoDB"):
        for killing in (False, True):
            with (
                TemporaryDirectory() as folder,
                database(kind) as (_, settings),
                RunningService(Path(folder), **settings) as service,
            ):
                crowd = Crowd([service], pictures, EMPLOYEES, seed=killing)
                with ExitStack() as stack:
                    dead: list[int] = []
                    if killing:
                        dead = stack.enter_context(workers_being_killed(service, pause_s=1))
                    crowd.run(OPERATIONS, CLIENTS)
                service.wait_ready()
                crowd.look()
            name = f"{kind}, workers killed" if killing else kind
            rows.append(f"| {name} | {counts(crowd)} | {len(dead)} | {verdict(crowd)} |")
    return rows


def counts(crowd: Crowd) -> str:
    """Return the number of operations, and how they were answered, as cells."""
    by_answer = {200: 0, None: 0, 0: 0}
    for (_, answer), number in crowd.answers.items():
        by_answer[answer if answer in by_answer else 0] += number
    return f"{sum(by_answer.values())} | {by_answer[200]} | {by_answer[0]} | {by_answer[None]}"


def verdict(crowd: Crowd) -> str:
    return str(len(crowd.impossible()) + len(crowd.wrong))


def elections() -> list[str]:
    """Enrol people on a replica set of three whose primary is killed three times."""
    pictures = faces(ENROLMENTS, apart=1.5 * THRESHOLD)
    acknowledged: list[int] = []
    waits: list[float] = []
    unavailable = 0

    with TemporaryDirectory() as folder, ReplicaSet() as replica_set:
        url = replica_set.url.replace("/?", "/people?")
        with RunningService(Path(folder), MONGO_DB_URL=url, **FOUR_WORKERS) as service:

            def enrol(employee_id: int) -> int:
                """Retry until it is acknowledged, and return how many 503 came before."""
                tries = 0
                while True:
                    began = time.monotonic()
                    status = ask(service, employee_id, "enrol", pictures[employee_id]).status_code
                    waits.append(time.monotonic() - began)
                    if status == 200:
                        acknowledged.append(employee_id)
                        return tries
                    assert status == 503, status
                    tries += 1
                    time.sleep(0.2)

            killer = Thread(target=kill_primaries, args=(replica_set, acknowledged))
            killer.start()
            began = time.monotonic()
            with ThreadPoolExecutor(CLIENTS) as threads:
                unavailable = sum(threads.map(enrol, range(ENROLMENTS)))
            took = time.monotonic() - began
            killer.join()
            service.wait_ready()
            stored = listed(service)
            with ThreadPoolExecutor(4) as threads:
                matched = sum(
                    threads.map(lambda i: logs_in(service, i, pictures[i]), range(ENROLMENTS))
                )
    return [
        "| | |",
        "|---|---:|",
        f"| enrolments acknowledged, from {CLIENTS} clients | {len(acknowledged)} |",
        f"| 503 on the way, each asked again with the same `Idempotency-Key` | {unavailable} |",
        f"| longest wait for an answer, `MONGO_DB_TIMEOUT_S` being 2 | {max(waits):.2f} s |",
        f"| time for all | {took:.0f} s |",
        f"| stored | {len(stored)} |",
        f"| stored twice | {len(stored) - len(set(stored))} |",
        f"| acknowledged, but not stored | {len(set(acknowledged) - set(stored))} |",
        f"| log in, each as the right employee | {matched} |",
    ]


def kill_primaries(replica_set: ReplicaSet, acknowledged: list[int]) -> None:
    """Kill the primary after 1/4, 1/2 and 3/4 of the enrolments, each for four seconds."""
    for share in (0.25, 0.5, 0.75):
        while len(acknowledged) < share * ENROLMENTS:
            time.sleep(0.05)
        primary = replica_set.primary()
        primary.kill()
        time.sleep(4)
        primary.start()


def listed(service: RunningService) -> list[int]:
    """Return every id that get_all lists."""
    ids: list[int] = []
    page = 1
    while users := service.call("GET", f"/api/get_all/500/{page}").json()["users"]:
        ids += [user["_id"] for user in users]
        page += 1
    return ids


def logs_in(service: RunningService, employee_id: int, face: Face) -> bool:
    response = answered(service, employee_id, "login", face)
    return response.status_code == 200 and response.json()["_id"] == employee_id


def ask(service: RunningService, employee_id: int, kind: str, face: Face) -> requests.Response:
    method, path, body = request(employee_id, kind, face)
    headers = {"Idempotency-Key": str(employee_id)}
    return service.call(method, path, json=body, headers=headers)


def answered(service: RunningService, employee_id: int, kind: str, face: Face) -> requests.Response:
    """Retry after a 503, because other workers may still be starting."""
    for _ in range(100):
        response = ask(service, employee_id, kind, face)
        if response.status_code != 503:
            break
        time.sleep(0.2)
    return response


def crashes() -> list[str]:
    """Kill all workers at random moments, in every other round the database as well."""
    heads = ("", "rounds", "operations", "200", "refused", "no answer")
    heads += ("failed starts", "kept employees lost", "impossible answers")
    rows = [f"| {' | '.join(heads)} |"]
    rows.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    pictures = faces(2 * EMPLOYEES + ROUNDS)
    for kind in ("SQLite", "MongoDB"):
        with TemporaryDirectory() as folder, database(kind) as (mongod, settings):
            rows.append(
                f"| {kind} | {ROUNDS} | {crash(Path(folder), mongod, settings, pictures)} |"
            )
            print(rows[-1], flush=True)
    return rows


def crash(
    folder: Path, mongod: Mongod | None, settings: dict[str, str], pictures: list[Face]
) -> str:
    choose = random.Random(0)
    kept, changing = pictures[:ROUNDS], pictures[ROUNDS:]
    total, refused, good, open_, failed, lost, wrong = (0,) * 7
    for number in range(ROUNDS):
        crowd = Crowd([], changing, EMPLOYEES, seed=number, first_id=1000 * (number + 1))
        with RunningService(folder, **settings) as service:
            crowd.services = [service]
            assert answered(service, number, "enrol", kept[number]).status_code == 200
            clients = Thread(target=crowd.run, args=(100_000, CLIENTS))
            clients.start()
            time.sleep(choose.uniform(0.2, 2))
            crowd.over.set()
            if mongod and number % 2:
                mongod.kill()
            service.kill()
            clients.join()
        if mongod and number % 2:
            mongod.start()
        try:
            with RunningService(folder, **settings) as service:
                crowd.services = [service]
                crowd.look()
                lost += sum(not logs_in(service, i, kept[i]) for i in range(number + 1))
                for employee_id in crowd.histories:
                    service.call("DELETE", f"/api/{employee_id}")
        except AssertionError as error:
            print(error, flush=True)
            failed += 1
        wrong += len(crowd.impossible()) + len(crowd.wrong)
        for (_, answer), times in crowd.answers.items():
            total += times
            good += times * (answer == 200)
            open_ += times * (answer is None)
            refused += times * (answer not in (200, None))
    return f"{total} | {good} | {refused} | {open_} | {failed} | {lost} | {wrong}"


if __name__ == "__main__":
    main()
