"""Measure what an employee and a login cost the store, in bytes and in queries.

`python -m benchmarks.costs` writes docs/benchmarks/costs.json.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app.settings import Settings
from app.storage import EmployeeStore
from app.storage.mongodb.documents import to_document
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from benchmarks import machine
from benchmarks.drift import everyone
from testbed.employees import fill
from testbed.mongod import Mongod
from testbed.serving import ROOT

EMPLOYEES = 20_000
_CANDIDATES = 17  # records that a login reads
_THREADS = 4
_SECONDS = 4.0


def main() -> None:
    """Measure and write the figures."""
    before = machine.describe()
    figures = {}
    for dimension in (128, 512):
        figures[str(dimension)] = {"SQLite": _sqlite(dimension), "MongoDB": _mongodb(dimension)}
    results = {"machine": before, "employees": EMPLOYEES, "figures": figures}
    (ROOT / "docs/benchmarks/costs.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(figures, indent=1), file=sys.stderr)


def _sqlite(dimension: int) -> dict[str, Any]:
    with TemporaryDirectory() as name:
        path = Path(name) / "employees.db"
        with closing(SqliteStore(path)) as store:
            fill(path, everyone(EMPLOYEES, dimension))
            queries = _queries(store)
        # Closing the last connection has merged the write-ahead log into the file.
        return {"bytes_an_employee": path.stat().st_size / EMPLOYEES} | queries


def _mongodb(dimension: int) -> dict[str, Any]:
    with Mongod() as mongod, mongod.client() as client:
        client.people.users.insert_many(
            to_document(each, VectorKeys()) for each in everyone(EMPLOYEES, dimension)
        )
        settings = Settings(mongo_db_url=f"{mongod.address}/people", mongo_db_timeout_s=20)
        with closing(MongoStore(settings)) as store:
            queries = _queries(store)
        client.admin.command("fsync")
        stats = client.people.command("collStats", "users")
        return {
            "bytes_an_employee": (stats["storageSize"] + stats["totalIndexSize"]) / EMPLOYEES,
            "document_bytes": stats["avgObjSize"],
        } | queries


def _queries(store: EmployeeStore) -> dict[str, float]:
    """Measure a login's queries: the idle one of the change log, and the candidates' records."""
    # The change log of any store in use has an entry.
    (first,) = store.get([1])
    store.replace(first)
    position = store.position()
    generator = np.random.default_rng(0)

    def catch_up() -> None:
        assert not store.changes_since(position).employee_ids

    def candidates() -> None:
        ids = generator.integers(1, EMPLOYEES + 1, _CANDIDATES).tolist()
        assert store.get(ids)

    def login() -> None:
        catch_up()
        candidates()

    with ThreadPoolExecutor(_THREADS) as threads:
        counts = list(threads.map(lambda _: _repeated(login, _SECONDS), range(_THREADS)))
    return {
        "idle_query_ms": _median_ms(catch_up),
        "candidates_ms": _median_ms(candidates),
        "logins_a_second": sum(counts) / _SECONDS,
    }


def _repeated(call: Callable[[], None], seconds: float) -> int:
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        call()
        count += 1
    return count


def _median_ms(call: Callable[[], None]) -> float:
    times = []
    for _ in range(500):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e3


if __name__ == "__main__":
    main()
