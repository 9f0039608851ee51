"""Measure lists, searches by name and logins within groups among a million employees.

`python -m benchmarks.people [--employees N]` serves them from SQLite and from MongoDB, and writes a
table to docs/scaling.md.
"""

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from app.gallery import batched
from app.settings import Settings
from app.storage import Employee, Profile
from app.storage.mongodb.documents import to_document
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.rows import to_row
from app.storage.sqlite.schema import COLUMNS
from app.storage.sqlite.store import SqliteStore
from benchmarks import sections
from benchmarks.pictures import jpeg, people
from benchmarks.rounds import interleave
from benchmarks.services import enrol, synthetic
from testbed.mongod import Mongod
from testbed.serving import ROOT, RunningService

DOCUMENT = ROOT / "docs/scaling.md"
DIMENSION = 128
ROUNDS = 60
BATCH = 10_000
LOADING_S = 600.0  # in which the service must have read everybody
FIRST = 2_000_000  # id of the first of them, above those of the people with photos
FIRST_NAMES, SURNAMES = 200, 20_000
GROUPS = {"one of 500": 500, "one of 50,000": 50_000}
LIST, IDENTIFY = "/api/v2/employees", "/api/v2/identifications"


def everyone(count: int) -> Iterator[Employee]:
    """Yield employees far from every face. The first ones are in the groups."""
    for number, vector in enumerate(synthetic(DIMENSION, count), start=FIRST):
        groups = tuple(f"g{size}" for size in GROUPS.values() if number - FIRST < size)
        yield Employee(
            number,
            f"First{number % FIRST_NAMES:03}",
            f"Family{number % SURNAMES:05}",
            vector[None],
            "dlib",
            profile=Profile(groups=groups),
        )


@contextmanager
def sqlite(folder: Path, count: int) -> Iterator[dict[str, str]]:
    """Fill a SQLite file, and yield the settings for it."""
    path = folder / "employees.db"
    statement = (
        f"INSERT INTO employees ({', '.join(COLUMNS)}) VALUES "
        f"({', '.join(f':{name}' for name in COLUMNS)})"
    )
    with closing(SqliteStore(path)) as store:
        with closing(sqlite3.connect(path)) as database:
            for batch in tqdm(batched(everyone(count), BATCH), unit_scale=BATCH):
                with database:
                    database.executemany(statement, [to_row(e, VectorKeys()) for e in batch])
        store.prepare_search()
    yield {}


@contextmanager
def mongodb(_: Path, count: int) -> Iterator[dict[str, str]]:
    """Fill a MongoDB, and yield the settings for it."""
    with Mongod() as mongod:
        with mongod.client() as client:
            for batch in tqdm(batched(everyone(count), BATCH), unit_scale=BATCH):
                client.people.users.insert_many([to_document(e, VectorKeys()) for e in batch])
        url = f"{mongod.address}/people"
        with closing(MongoStore(Settings(mongo_db_url=url, mongo_db_timeout_s=60))) as store:
            store.prepare_search()
        yield {"MONGO_DB_URL": url, "MONGO_DB_TIMEOUT_S": "60"}


def measure(folder: Path, variables: dict[str, str], count: int) -> dict[str, tuple[float, float]]:
    """Return median and 95th percentile of each call, in milliseconds."""
    queries: dict[str, dict[str, object]] = {
        "list, first page": {},
        "list, page in the middle": {"cursor": FIRST + count // 2},
        "search, rare surname": {"q": "family01234"},
        "search, common first name": {"q": "first042"},
        "search, both": {"q": "first042 family0"},
        "search, prefix of everybody": {"q": "f"},
    } | {f"list, group {name}": {"group": f"g{size}"} for name, size in GROUPS.items()}
    (person,) = people(1)
    photo = jpeg(person.login)
    with RunningService(folder, ready=False, LOG_LEVEL="error", **variables) as service:
        service.wait_ready(LOADING_S)
        enrol(service, [person])

        def listed(query: dict[str, object]) -> None:
            answer = service.call("GET", LIST, params={"limit": 100} | query)
            assert answer.status_code == 200, answer.text

        def identified(group: str | None) -> None:
            form = {} if group is None else {"group": group}
            answer = service.call("POST", IDENTIFY, data=form, files={"photo": ("p.jpg", photo)})
            assert answer.status_code == 200, answer.text

        names = [f"g{size}" for size in GROUPS.values()]
        path = f"{LIST}/{person.employee_id}"
        assert service.call("PATCH", path, json={"groups": names}).status_code == 200
        cases = {
            name: lambda _, query=query: listed(query)  # type: ignore[misc]
            for name, query in queries.items()
        } | {
            f"login, {name}": lambda _, group=group: identified(group)  # type: ignore[misc]
            for name, group in zip(["everybody", *GROUPS], [None, *names], strict=True)
        }
        timings = interleave(cases, ROUNDS)
    return {
        name: (float(np.median(each)) * 1e3, float(np.quantile(each, 0.95)) * 1e3)
        for name, each in timings.seconds.items()
    }


def main() -> None:
    """Measure both stores, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--employees", type=int, default=1_000_000)
    parser.add_argument("--dry", action="store_true", help="do not write the table")
    options = parser.parse_args()
    columns = {}
    for name, filled in (("SQLite", sqlite), ("MongoDB", mongodb)):
        with (
            TemporaryDirectory() as folder,
            filled(Path(folder), options.employees) as variables,
        ):
            columns[name] = measure(Path(folder), variables, options.employees)
        print(name, columns[name], file=sys.stderr)
    rows = ["| call | SQLite: median, p95 | MongoDB: median, p95 |", "|---|---:|---:|"]
    for case in columns["SQLite"]:
        both = (column[case] for column in columns.values())
        figures = (f"{median:.0f}, {p95:.0f} ms" for median, p95 in both)
        rows.append(f"| {case} | {' | '.join(figures)} |")
    print("\n".join(rows))
    if not options.dry:
        sections.write(DOCUMENT, "people", rows)


if __name__ == "__main__":
    main()
