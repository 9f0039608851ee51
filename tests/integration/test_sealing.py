"""Vectors are encrypted in the database, bound to their employee, and keys can be changed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from app.audit import AuditLog
from app.settings import Settings
from app.storage import Employee, EmployeeStore, Reference, Sample, UnknownSeal
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import PLAIN, VectorKeys
from app.storage.sqlite.store import SqliteStore
from app.usecases.transfer import Existing, Transfer
from app.usecases.transfer_lines import check
from testbed.employees import as_stored, everything, face_model, someone
from testbed.mongod import Mongod
from tests.support.vector_keys import new_key

OLD, NEW = new_key(), new_key()

PEOPLE = 320  # more than are read at once, which are 256

OpenWith = Callable[[str | None], EmployeeStore]


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def open_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenWith]:
    """Opens the test's own database with other VECTOR_KEYS."""
    with ExitStack() as opened:
        if request.param == "mongod":
            mongod: Mongod = request.getfixturevalue("mongod")
            database = f"test_{uuid4().hex}"
            opened.callback(mongod.drop, database)
            settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)

        def connect(keys: str | None) -> EmployeeStore:
            if request.param == "mongod":
                return MongoStore(settings, VectorKeys(keys))
            return SqliteStore(tmp_path / "employees.db", VectorKeys(keys))

        yield lambda keys: opened.enter_context(closing(connect(keys)))


def test_vectors_lie_encrypted_in_the_sqlite_file(tmp_path: Path) -> None:
    employee = someone(1, dimension=512)
    with closing(SqliteStore(tmp_path / "employees.db", VectorKeys(OLD))) as store:
        store.add(employee)
        lies = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert everything(store) == [as_stored(employee)]
    assert employee.vectors.tobytes()[:16] not in lies


def test_a_record_moved_to_another_id_matches_nobody(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path, VectorKeys(OLD))) as store:
        for employee_id in (1, 2, 3):
            store.add(someone(employee_id))
        with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
            intruder.execute(
                "UPDATE employees SET (vectors, seal) = "
                "(SELECT vectors, seal FROM employees WHERE employee_id = 1) WHERE employee_id = 2"
            )
        # and nobody else is locked out by it
        assert everything(store) == [as_stored(someone(1)), as_stored(someone(3))]
        assert store.get([2]) == []


def test_a_store_that_cannot_be_opened_says_so(open_with: OpenWith) -> None:
    open_with(OLD).add(someone(1))
    open_with(OLD).check_seals()
    open_with(f"{NEW} {OLD}").check_seals()
    name = VectorKeys(OLD).first
    for keys in (None, NEW, PLAIN):
        with pytest.raises(UnknownSeal, match=rf"encrypted with the key {name} \(employees: 1\)"):
            open_with(keys).check_seals()
        assert list(open_with(keys).read_all()) == []


def test_plain_records_are_not_taken_where_all_are_to_be_encrypted(open_with: OpenWith) -> None:
    open_with(None).add(someone(1))
    with pytest.raises(UnknownSeal, match=r"not encrypted \(employees: 1\): add plain at the end"):
        open_with(NEW).check_seals()
    assert open_with(NEW).get([1]) == []
    assert everything(open_with(f"{NEW},{PLAIN}")) == [as_stored(someone(1))]


@pytest.mark.parametrize(
    ("before", "after"), [(PLAIN, NEW), (OLD, NEW), (OLD, PLAIN)], ids=["seal", "rotate", "unseal"]
)
def test_second_references_change_keys_too(open_with: OpenWith, before: str, after: str) -> None:
    second = Reference("vggface2", someone(2, vectors=2).vectors, (Sample(), Sample()), ())
    open_with(before).add(replace(someone(1), second=second))
    list(open_with(f"{after} {before}").reseal())
    (employee,) = open_with(after).get([1])
    assert employee.second is not None
    assert employee.second.vectors.tobytes() == second.vectors.tobytes()


@pytest.mark.parametrize(
    ("before", "after"), [(PLAIN, NEW), (OLD, NEW), (OLD, PLAIN)], ids=["seal", "rotate", "unseal"]
)
def test_keys_are_changed_while_others_read_and_write(
    open_with: OpenWith, before: str, after: str
) -> None:
    people = {number: someone(number, vectors=2) for number in range(PEOPLE)}
    writer = open_with(before)
    for employee in people.values():
        writer.add(employee)
    pod = open_with(f"{before} {after}")

    def go_on_working() -> None:
        for number in range(0, PEOPLE, 7):
            people[number] = someone(number, seed=1)
            pod.replace(people[number])
        for number in range(3, PEOPLE, 70):
            del people[number]
            pod.remove(number)
            assert [e.employee_id for e in pod.get([number - 1])] == [number - 1]

    work = Thread(target=go_on_working)
    work.start()
    store = open_with(f"{after} {before}")
    steps = []
    with suppress(UnknownSeal):  # the pod came in between
        for done, total in store.reseal():
            steps.append(0 < done <= total)
    work.join()
    assert steps
    assert all(steps)
    # the pod still sealed with the key that was the first when it started
    list(store.reseal())
    last = open_with(after)
    last.check_seals()
    assert everything(last) == [as_stored(people[number]) for number in sorted(people)]
    assert list(last.reseal()) == []


def test_a_change_of_keys_that_was_interrupted_goes_on(open_with: OpenWith) -> None:
    store = open_with(OLD)
    for number in range(PEOPLE):
        store.add(someone(number))
    first = next(iter(open_with(f"{NEW} {OLD}").reseal()))
    assert first[1] == PEOPLE
    second = list(open_with(f"{NEW} {OLD}").reseal())
    assert second[-1] == (PEOPLE - first[0], PEOPLE - first[0])
    open_with(NEW).check_seals()


def test_a_change_of_keys_is_no_change_of_an_employee(open_with: OpenWith) -> None:
    store = open_with(OLD)
    store.add(someone(1))
    position = store.position()
    list(open_with(f"{NEW} {OLD}").reseal())
    assert store.changes_since(position).employee_ids == frozenset()


def test_employees_removed_during_rotation_stay_removed(open_with: OpenWith) -> None:
    store = open_with(f"{OLD} {NEW}")
    for number in range(PEOPLE):
        store.add(someone(number))
    removed: set[int] = set()
    for done, _ in open_with(f"{NEW} {OLD}").reseal():
        # the last of those that were done and the first of those that were not
        for number in {*range(done - 50, min(PEOPLE, done + 50))} - removed:
            store.remove(number)
            removed.add(number)
    assert len(removed) > 100
    assert {e.employee_id for e in store.read_all()} == {*range(PEOPLE)} - removed


def test_mongodb_documents_that_cannot_be_read_stop_no_change_of_keys(
    mongod: Mongod, database: str
) -> None:
    with mongod.client() as client:
        client[database]["users"].insert_many(
            [{"_id": number, "name": "a", "surname": "b", "img": "none"} for number in range(300)]
        )
    settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
    with closing(MongoStore(settings, VectorKeys(f"{NEW} plain"))) as store:
        store.add(someone(300))
        with pytest.raises(UnknownSeal, match="300 records cannot be read"):
            list(store.reseal())


def test_old_mongodb_documents_are_sealed_too(mongod: Mongod, database: str) -> None:
    """They hold lists of doubles, and name no model."""
    vector = someone(1, dimension=512).vectors[0]
    with mongod.client() as client:
        client[database]["users"].insert_one(
            {"_id": 1.0, "name": "a", "surname": "b", "img": [vector.astype(float).tolist()]}
        )
        settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
        with closing(MongoStore(settings, VectorKeys(f"{NEW} plain"))) as store:
            assert list(store.reseal()) == [(1, 1)]
        with closing(MongoStore(settings, VectorKeys(NEW))) as store:
            (found,) = store.get([1])
            assert isinstance(found, Employee)
            assert (found.model, found.vectors.shape) == ("vggface2", (1, 512))
            assert store.models() == {"vggface2": 1}


def test_records_whose_key_is_lost_are_replaced_by_an_import(open_with: OpenWith) -> None:
    lost, audit, model = open_with(OLD), AuditLog(None), face_model()
    lost.add(someone(1))
    lines = list(Transfer(lost, model, audit).export())
    store = open_with(NEW)
    assert (store.get([1]), store.enrolment_id(1)) == ([], lost.get([1])[0].enrolment_id)
    into = Transfer(store, model, audit)
    results = [
        next(into.load(lines, check(lines, model), existing)).result
        for existing in (Existing.SKIP, Existing.REPLACE, Existing.REPLACE)
    ]
    assert results == ["skipped", "replaced", "unchanged"]
    assert everything(store) == [as_stored(someone(1))]
    assert store.enrolment_id(2) is None
