"""What was acknowledged survives kill -9, whichever process wrote it."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from app.storage.sqlite.store import SqliteStore
from testbed.serving import ROOT

ROUNDS = 4

ACKNOWLEDGED_BEFORE_THE_KILL = 40

# Enrols from argv[2] upwards, in steps of argv[3], argv[4] people; prints each acknowledged id.
ENROL = """
import sys
from pathlib import Path
import numpy as np
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.serving import ROOT

store = SqliteStore(Path(sys.argv[1]))
first, step, people = map(int, sys.argv[2:])
for employee_id in range(first, first + step * people, step):
    vectors = np.full((2, 512), employee_id, dtype=np.float32)
    store.add(Employee(employee_id, "name", "surname", vectors, "dlib"))
    print(employee_id, flush=True)
"""


def enrolling(path: Path, first: int, step: int, people: int) -> subprocess.Popen[str]:
    arguments = [str(number) for number in (first, step, people)]
    return subprocess.Popen(
        [sys.executable, "-c", ENROL, str(path), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_acknowledged_enrolments_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    acknowledged: list[int] = []
    for number in range(ROUNDS):
        child = enrolling(path, first=number * 100_000, step=1, people=100_000)
        assert child.stdout
        for line in child.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) >= (number + 1) * ACKNOWLEDGED_BEFORE_THE_KILL:
                child.kill()
                break
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait()

        store = SqliteStore(path)
        stored = {employee.employee_id: employee for employee in store.read_all()}
        assert set(acknowledged) <= set(stored)
        assert store.count() == len(stored)
        assert store.changes_since(0).employee_ids == set(stored)
        for employee_id, employee in stored.items():
            assert (employee.vectors == np.float32(employee_id)).all()
        store.close()


def test_several_processes_may_make_and_fill_one_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on demand" / "employees.db"
    children = [enrolling(path, first=number, step=3, people=20) for number in range(3)]
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0, 0, 0]
    assert [found.employee_id for found in SqliteStore(path).read_all()] == list(range(60))
