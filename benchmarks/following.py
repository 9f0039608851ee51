"""Measure what catching up with the store costs a request if nothing was written."""

import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from app.settings import Settings
from app.storage import EmployeeStore
from app.storage.mongodb.store import MongoStore
from app.storage.sqlite.store import SqliteStore
from benchmarks import sections
from benchmarks.outages import DOCUMENT
from testbed.employees import someone
from testbed.mongod import Mongod, ReplicaSet

ROUNDS = 2_000
WRITES = 200


def main() -> None:
    """Measure every kind of store, and write the table."""
    rows = ["| | median | 99 of 100 | a write (median) |", "|---|---:|---:|---:|"]
    with TemporaryDirectory() as folder, Mongod() as mongod, ReplicaSet() as replica_set:
        stores: dict[str, EmployeeStore] = {
            "SQLite": SqliteStore(Path(folder) / "employees.db"),
            "MongoDB, one server": connect(f"{mongod.address}/people"),
            "MongoDB, a replica set of three": connect(replica_set.url.replace("/?", "/people?")),
        }
        for name, store in stores.items():
            with closing(store):
                rows.append(f"| {name} | {' | '.join(measure(store))} |")
                print(rows[-1], flush=True)
    sections.write(DOCUMENT, "following", rows)


def connect(url: str) -> EmployeeStore:
    return MongoStore.connect(Settings(mongo_db_url=url, mongo_db_timeout_s=20))


def measure(store: EmployeeStore) -> list[str]:
    writes = []
    for employee_id in range(WRITES):
        employee = someone(employee_id, dimension=512)
        began = time.perf_counter()
        store.add(employee)
        writes.append(time.perf_counter() - began)
    position = store.position()
    queries = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        assert not store.changes_since(position).employee_ids
        queries.append(time.perf_counter() - began)
    return [
        f"{seconds * 1e3:.2f} ms"
        for seconds in (
            statistics.median(queries),
            statistics.quantiles(queries, n=100)[-1],
            statistics.median(writes),
        )
    ]


if __name__ == "__main__":
    main()
