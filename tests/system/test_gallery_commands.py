"""`flask --app entry gallery check` and `gallery rebuild`."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from uuid import uuid4

import numpy as np
import pytest

from app.gallery import IndexEntry, index_repair
from app.gallery.drift import expected_entries
from app.gallery.milvus_index import Address, MilvusIndex
from app.gallery.shared_gallery import SharedGallery
from app.storage.sqlite.store import SqliteStore
from testbed.employees import face_model, fill, someone
from testbed.milvus import MilvusServer
from testbed.serving import ROOT, environment
from tests.support.commands import run
from tests.support.features import DIMENSION

EMPLOYEES = 4_000


class Deployment:
    """A store, an index that is at first not there, and the commands on both."""

    def __init__(self, folder: Path, server: MilvusServer) -> None:
        self.path = folder / "employees.db"
        self.store = SqliteStore(self.path)
        prefix = f"t{uuid4().hex}"
        address = Address(server.uri, None, 20)
        self.index = MilvusIndex(address, prefix, "dlib", DIMENSION)
        self.gallery = SharedGallery(self.store, self.index, face_model(dimension=DIMENSION))
        self._environment = environment(
            SQLITE_PATH=str(self.path),
            GALLERY_INDEX="milvus",
            MILVUS_URI=server.uri,
            MILVUS_COLLECTION=prefix,
        )

    def command(self, *words: str, **variables: str) -> "subprocess.Popen[str]":
        """A process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "entry", "gallery", *words],
            cwd=ROOT,
            env=self._environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> tuple[int, str]:
        """Exit code and output."""
        done = run("gallery", *words, **self._environment | variables)
        assert "Traceback" not in done.output
        return done.returncode, done.output

    def is_right(self) -> bool:
        """Whether the index holds the entries of the store's records and no others, to the bit."""
        there = self.index.entries_between(index_repair.FIRST_ID, index_repair.LAST_ID)
        wanted = [row for employee in self.store.read_all() for row in expected_entries(employee)]
        return {(r.name, r.employee_id, r.vector.tobytes()) for r in there} == {
            (r.name, r.employee_id, r.vector.tobytes()) for r in wanted
        }


@pytest.fixture
def deployment(tmp_path: Path, milvus: MilvusServer) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, milvus)
    with closing(deployment.store):
        yield deployment


def enrol(deployment: Deployment, count: int) -> None:
    """Employees of one to three vectors."""
    everyone = (
        someone(employee_id, vectors=1 + employee_id % 3, dimension=DIMENSION)
        for employee_id in range(1, count + 1)
    )
    fill(deployment.path, everyone)


def found(output: str) -> tuple[int, int, int]:
    """How many entries were missing, wrong, garbage."""
    match = re.search(r"entries: (\d+) missing, (\d+) wrong, (\d+) garbage", output)
    assert match, output
    missing, wrong, garbage = map(int, match.groups())
    return missing, wrong, garbage


def test_drift_of_every_kind_is_found_and_repaired(deployment: Deployment) -> None:
    enrol(deployment, 300)
    code, output = deployment.run("rebuild")
    assert (code, found(output)) == (0, (600, 0, 0))
    assert deployment.run("check")[0] == 0

    index = deployment.index
    (taken,) = rows_of(deployment, 3)[:1]
    index.remove([taken.name])
    altered = rows_of(deployment, 5)
    index.put([IndexEntry(row.name, 5, np.roll(row.vector, 1)) for row in altered])
    extra = np.eye(DIMENSION, dtype=np.float32)
    index.put(
        [
            IndexEntry("x", 9, extra[0]),
            IndexEntry("y", -4, extra[1]),
            IndexEntry("z", 10**15, extra[2]),
        ]
    )
    deployment.store.remove(12)

    code, output = deployment.run("check")
    assert code == 1
    assert found(output) == (1, 3, 4)
    assert "Employees concerned: -4, 3, 5, 9, 12, 1000000000000000" in output
    assert not deployment.is_right()
    code, output = deployment.run("rebuild")
    assert (code, found(output)) == (0, (1, 3, 4))
    assert deployment.is_right()
    assert found(deployment.run("check")[1]) == (0, 0, 0)


def rows_of(deployment: Deployment, employee_id: int) -> list[IndexEntry]:
    return sorted(deployment.index.entries_of([employee_id]), key=lambda row: row.name)


def test_a_rebuild_that_is_killed_goes_on_where_it_was(deployment: Deployment) -> None:
    enrol(deployment, EMPLOYEES)
    vectors = sum(len(employee.vectors) for employee in deployment.store.read_all())
    deployment.index.prepare()
    with deployment.command("rebuild") as process:
        while not (done := len(deployment.index)):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    done = len(deployment.index)
    assert 0 < done < vectors
    assert not deployment.index.is_complete()
    assert deployment.run("check")[0] == 1

    code, output = deployment.run("rebuild", "--after", str(EMPLOYEES))
    assert "without --after" in output  # there may be gaps before
    assert not deployment.index.is_complete()

    code, output = deployment.run("rebuild")

    assert (code, found(output)) == (0, (vectors - done, 0, 0))
    assert deployment.index.is_complete()
    assert deployment.is_right()
    code, output = deployment.run("rebuild", "--after", str(EMPLOYEES - 10))
    assert f"\n{10} employees in " in output


def test_writes_during_a_rebuild_are_neither_lost_nor_doubled(deployment: Deployment) -> None:
    enrol(deployment, 1_000)
    deployment.index.prepare()
    deployment.index.mark_complete()  # as a service that runs already found it
    rebuilt = Event()

    def write() -> int:
        generator, writes = np.random.default_rng(0), 0
        while not rebuilt.is_set():
            employee_id = int(generator.integers(1, 1_001))
            with deployment.gallery.writing(employee_id):
                if generator.integers(2):
                    changed = someone(employee_id, dimension=DIMENSION, seed=writes + 1)
                    deployment.store.replace(changed)
                else:
                    deployment.store.remove(employee_id)
            again = someone(employee_id, vectors=2, dimension=DIMENSION, seed=10**6 + writes)
            if not deployment.store.get([employee_id]):
                with deployment.gallery.writing(employee_id):
                    deployment.store.add(again)
            writes += 1
        return writes

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        try:
            with deployment.command("rebuild") as rebuild:
                output, _ = rebuild.communicate(timeout=120)
            assert rebuild.returncode == 0, output
        finally:
            rebuilt.set()
        assert writing.result() > 20
    assert deployment.is_right()
    assert deployment.run("check")[0] == 0


def test_an_index_in_memory_has_nothing_to_check(deployment: Deployment) -> None:
    for command in ("check", "rebuild"):
        code, output = deployment.run(command, GALLERY_INDEX="memory")
        assert code == 0
        assert "nothing can differ" in output


def test_gallery_commands_report_what_is_unavailable(deployment: Deployment) -> None:
    deployment.store.add(someone(1))
    code, output = deployment.run("check", MILVUS_URI="http://127.0.0.1:1")
    assert code == 2
    assert output.endswith("Error: the index (MILVUS_URI) cannot be reached\n")
