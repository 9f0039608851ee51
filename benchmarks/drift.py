"""Make a large shared index drift by hand, and have the drift found and repaired: `make drift`.

On SQLite and on MongoDB: build an index, kill the builder halfway and start it again; delete, alter
and add rows behind the service's back; `gallery check` must find exactly those rows, and `gallery
rebuild` must repair them. Write docs/benchmarks/drift.json.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app.gallery import IndexEntry, batched
from app.gallery.drift import expected_entries
from app.gallery.milvus_index import Address, MilvusIndex
from app.settings import Settings
from app.storage import Employee, EmployeeStore
from app.storage.mongodb.documents import to_document
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from benchmarks import machine
from benchmarks.services import synthetic
from testbed.employees import fill
from testbed.milvus import MilvusServer
from testbed.mongod import Mongod
from testbed.serving import ROOT, environment

DIMENSION = 128
DELETED, ALTERED, ADDED = 137, 71, 53


def main() -> None:
    """Measure, check and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--employees", type=int, default=100_000)
    parser.add_argument("--store", choices=["SQLite", "MongoDB"], action="append")
    options = parser.parse_args()
    count = options.employees
    file = ROOT / "docs/benchmarks/drift.json"
    before = machine.describe()
    figures = {}
    for kind, opened in (("SQLite", _sqlite), ("MongoDB", _mongodb)):
        if kind not in (options.store or [kind]):
            continue
        with TemporaryDirectory() as name, MilvusServer() as server:
            folder = Path(name)
            with opened(folder, count) as (store, variables):
                figures[kind] = _measure(store, server, variables, count)
        print(kind, json.dumps(figures[kind], indent=1), file=sys.stderr)
    if options.store and file.exists():
        figures = json.loads(file.read_text())["figures"] | figures
    made = {"machine": before, "employees": count, "dimension": DIMENSION, "figures": figures}
    file.write_text(json.dumps(made, indent=1) + "\n")


def _measure(
    store: EmployeeStore, server: MilvusServer, variables: dict[str, str], count: int
) -> dict[str, Any]:
    index = MilvusIndex(Address(server.uri, None, 60), "employees", "dlib", DIMENSION)
    index.prepare()
    variables = variables | {"GALLERY_INDEX": "milvus", "MILVUS_URI": server.uri}

    began = time.monotonic()
    process = subprocess.Popen(_command("rebuild"), cwd=ROOT, env=environment(**variables))
    while len(index) < count // 3:
        assert process.poll() is None
        time.sleep(0.2)
    process.kill()
    process.wait()
    killed_after, there = time.monotonic() - began, len(index)
    assert there < count
    resumed = _run("rebuild", variables)
    assert resumed["rows"] == [count - there, 0, 0], resumed
    _make_drift(index, store)
    found = _run("check", variables)
    assert found["rows"] == [DELETED, ALTERED, ADDED], found
    assert found["exit_code"] == 1
    repaired = _run("rebuild", variables)
    assert repaired["rows"] == found["rows"]
    clean = _run("check", variables)
    assert (clean["exit_code"], clean["rows"]) == (0, [0, 0, 0])
    return {
        "killed_after_s": killed_after,
        "rows_when_killed": there,
        "resumed": resumed,
        "drift_found": found,
        "drift_repaired": repaired,
        "checked_again": clean,
    }


def _make_drift(index: MilvusIndex, store: EmployeeStore) -> None:
    generator = np.random.default_rng(0)
    ids = generator.permutation(store.count())[: DELETED + ALTERED] + 1
    chosen = [row for employee in store.get(ids.tolist()) for row in expected_entries(employee)]
    index.remove([row.name for row in chosen[:DELETED]])
    index.put([IndexEntry(r.name, r.employee_id, np.roll(r.vector, 1)) for r in chosen[DELETED:]])
    extra = synthetic(DIMENSION, ADDED)
    index.put(
        [IndexEntry(f"nobody's {n}", n * 1_000_003, vector) for n, vector in enumerate(extra)]
    )


def _run(command: str, variables: dict[str, str]) -> dict[str, Any]:
    began = time.monotonic()
    process = subprocess.run(
        _command(command),
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"entries: (\d+) missing, (\d+) wrong, (\d+) garbage", process.stdout)
    assert match, process.stdout + process.stderr
    return {
        "exit_code": process.returncode,
        "seconds": time.monotonic() - began,
        "rows": [int(number) for number in match.groups()],
    }


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "entry", "gallery", name]


def everyone(count: int, dimension: int) -> Iterator[Employee]:
    """Yield employees with one random vector each."""
    for number, vector in enumerate(synthetic(dimension, count), start=1):
        yield Employee(number, "name", "surname", vector[None], "dlib")


@contextmanager
def _sqlite(folder: Path, count: int) -> Iterator[tuple[EmployeeStore, dict[str, str]]]:
    path = folder / "employees.db"
    with closing(SqliteStore(path)) as store:
        fill(path, everyone(count, DIMENSION))
        yield store, {"SQLITE_PATH": str(path)}


@contextmanager
def _mongodb(folder: Path, count: int) -> Iterator[tuple[EmployeeStore, dict[str, str]]]:
    with Mongod() as mongod:
        with mongod.client() as client:
            for batch in batched(
                (to_document(each, VectorKeys()) for each in everyone(count, DIMENSION)), 10_000
            ):
                client.people.users.insert_many(batch)
        url = f"{mongod.address}/people"
        settings = Settings(mongo_db_url=url, mongo_db_timeout_s=20)
        with closing(MongoStore(settings)) as store:
            yield store, {"MONGO_DB_URL": url, "SQLITE_PATH": str(folder / "unused.db")}


if __name__ == "__main__":
    main()
