"""Writes to MongoDB whose connection is lost when they were made: they are made exactly once."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import pytest

from app.settings import Settings
from app.storage import Employee, EmployeeExists, NoSuchEmployee, StoreUnavailable
from app.storage.mongodb.store import MongoStore
from testbed.employees import as_stored, everything, ids, someone
from testbed.mongod import Mongod
from tests.support.reply_cutter import ReplyCutter

pytestmark = pytest.mark.mongod


@dataclass
class Line:
    """store: behind the cutter. colleague: another process's, beside it."""

    cutter: ReplyCutter
    store: MongoStore
    colleague: MongoStore
    standalone: bool


@pytest.fixture(params=["mongod", "mongod_replica_set"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    mongod: Mongod = request.getfixturevalue(request.param)
    database = f"test_{uuid4().hex}"

    def connect(port: int) -> MongoStore:
        url = f"127.0.0.1:{port}/{database}?directConnection=true"
        return MongoStore.connect(Settings(mongo_db_url=url, mongo_db_timeout_s=20))

    with (
        ReplyCutter(mongod.port) as cutter,
        closing(connect(cutter.port)) as store,
        closing(connect(mongod.port)) as colleague,
    ):
        yield Line(cutter, store, colleague, request.param == "mongod")
    mongod.drop(database)


def entries(store: MongoStore) -> int:
    return store.position() >> 20


@pytest.mark.parametrize("collection", ["users", "users_changes"])
def test_an_enrolment(line: Line, collection: str) -> None:
    employee = someone(1)
    with line.cutter.cutting("insert", collection):
        line.store.add(employee)
    assert everything(line.store) == [as_stored(employee)]
    assert line.colleague.changes_since(0).employee_ids == {1}
    with pytest.raises(EmployeeExists):
        line.store.add(someone(1))


def test_an_enrolment_of_an_id_that_is_taken(line: Line) -> None:
    line.colleague.add(someone(1, seed=1))
    with line.cutter.cutting("insert", "users"), pytest.raises(EmployeeExists):
        line.store.add(someone(1, seed=2))
    assert everything(line.store) == [as_stored(someone(1, seed=1))]


@pytest.mark.parametrize(
    ("command", "collection"), [("update", "users"), ("find", "users"), ("insert", "users_changes")]
)
def test_a_replacement(line: Line, command: str, collection: str) -> None:
    line.colleague.add(someone(1))
    position = line.colleague.position()
    with line.cutter.cutting(command, collection):
        line.store.replace(someone(1, seed=1))
    assert everything(line.store) == [as_stored(someone(1, seed=1))]
    assert line.colleague.changes_since(position).employee_ids == {1}


@pytest.mark.parametrize(("command", "collection"), [("delete", "users"), ("find", "users")])
def test_a_removal(line: Line, command: str, collection: str) -> None:
    line.colleague.add(someone(1))
    line.colleague.add(someone(2))
    with line.cutter.cutting(command, collection):
        line.store.remove(1)
    assert ids(line.store.read_all()) == [2]
    with pytest.raises(NoSuchEmployee):
        line.store.remove(1)


def test_a_replacement_never_undoes_the_next_one(line: Line) -> None:
    line.colleague.add(someone(1))

    def replace_again() -> None:
        line.colleague.replace(someone(1, seed=2))

    with line.cutter.cutting("update", "users", meanwhile=replace_again):
        write(line, someone(1, seed=1))
    assert everything(line.store) == [as_stored(someone(1, seed=2))]


def test_a_removal_never_undoes_the_next_enrolment(line: Line) -> None:
    line.colleague.add(someone(1))

    def enrol_again() -> None:
        line.colleague.add(someone(1, seed=2))

    with line.cutter.cutting("delete", "users", meanwhile=enrol_again):
        write(line, None)
    assert everything(line.store) == [as_stored(someone(1, seed=2))]


def write(line: Line, successor: Employee | None) -> None:
    """Replace or remove employee 1; nothing tells a standalone server's client how that went."""
    try:
        if successor:
            line.store.replace(successor)
        else:
            line.store.remove(1)
    except StoreUnavailable as error:
        assert line.standalone
        assert "lost during a write" in str(error)


def test_a_record_says_which_enrolment_it_is(line: Line) -> None:
    employee = someone(1)
    with line.cutter.cutting("insert", "users"):
        line.store.add(employee)
    (stored,) = line.colleague.get([1])
    assert stored.enrolment_id == employee.enrolment_id
