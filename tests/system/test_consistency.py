"""Whatever is asked of whichever worker, the answers are those of one gallery."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from testbed.crowd import STRICT, Face, empty, faces, request
from testbed.mongod import Mongod
from testbed.serving import RunningService

EMPLOYEES = 3
FACES_EACH = 3
WORKERS = 3

workers = st.integers(0, WORKERS - 1)
employee_ids = st.integers(1, EMPLOYEES)
face_numbers = st.integers(0, FACES_EACH - 1)


@pytest.fixture(scope="module")
def pictures() -> list[Face]:
    return faces(EMPLOYEES * FACES_EACH)


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[RunningService]]:
    """Processes of one worker each, so that a test chooses who is asked."""
    variables = {"LOG_LEVEL": "error"} | STRICT
    if request.param == "mongodb":
        mongod: Mongod = request.getfixturevalue("mongod")
        variables["MONGO_DB_URL"] = f"{mongod.address}/{request.getfixturevalue('database')}"
        variables["MONGO_DB_TIMEOUT_S"] = "20"
    with (
        RunningService(tmp_path, **variables) as one,
        RunningService(tmp_path, **variables) as two,
        RunningService(tmp_path, **variables) as three,
    ):
        yield [one, two, three]


def test_every_worker_knows_what_any_worker_did(
    services: list[RunningService], pictures: list[Face]
) -> None:
    class OneGallery(RuleBasedStateMachine):
        """Enrols, replaces, deletes and logs in; a dictionary says what must be answered."""

        def __init__(self) -> None:
            super().__init__()
            empty(services[0])
            self.enrolled: dict[int, Face] = {}

        @rule(worker=workers, employee_id=employee_ids, number=face_numbers)
        def enrol(self, worker: int, employee_id: int, number: int) -> None:
            taken = employee_id in self.enrolled
            face = self.face(employee_id, number)
            assert self.ask(worker, employee_id, "enrol", face) == (409 if taken else 200)
            self.enrolled.setdefault(employee_id, face)

        @rule(worker=workers, employee_id=employee_ids, number=face_numbers)
        def replace(self, worker: int, employee_id: int, number: int) -> None:
            known = employee_id in self.enrolled
            face = self.face(employee_id, number)
            assert self.ask(worker, employee_id, "replace", face) == (200 if known else 404)
            if known:
                self.enrolled[employee_id] = face

        @rule(worker=workers, employee_id=employee_ids)
        def delete(self, worker: int, employee_id: int) -> None:
            self.enrolled.pop(employee_id, None)
            face = self.face(employee_id, 0)
            assert self.ask(worker, employee_id, "delete", face) == 200

        @rule(worker=workers, employee_id=employee_ids, number=face_numbers)
        def log_in(self, worker: int, employee_id: int, number: int) -> None:
            face = self.face(employee_id, number)
            expected = employee_id if self.enrolled.get(employee_id) is face else 406
            assert self.log_in_with(worker, face) == expected

        @rule(worker=workers)
        def list_all(self, worker: int) -> None:
            users = services[worker].call("GET", "/api/get_all/100/1").json()["users"]
            listed = [(user["_id"], user["name"]) for user in users]
            assert listed == sorted((i, face.name) for i, face in self.enrolled.items())

        @invariant()
        def whoever_is_enrolled_is_found_by_some_worker(self) -> None:
            for worker, (employee_id, face) in enumerate(sorted(self.enrolled.items())):
                assert self.log_in_with(worker, face) == employee_id

        @staticmethod
        def face(employee_id: int, number: int) -> Face:
            return pictures[(employee_id - 1) * FACES_EACH + number]

        @staticmethod
        def ask(worker: int, employee_id: int, kind: str, face: Face) -> int:
            method, path, body = request(employee_id, kind, face)
            return services[worker].call(method, path, json=body).status_code

        @staticmethod
        def log_in_with(worker: int, face: Face) -> int:
            method, path, body = request(0, "login", face)
            response = services[worker].call(method, path, json=body)
            answer: dict[str, Any] = response.json() if response.ok else {}
            return int(answer.get("_id", response.status_code))

    run_state_machine_as_test(
        OneGallery, settings=settings(max_examples=12, stateful_step_count=25, deadline=None)
    )
