"""A store keeps the vectors of a second model beside those of the first."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from app.storage import Employee, EmployeeStore, Reference, Sample, Selection
from app.storage.sqlite.store import SqliteStore
from testbed.employees import as_stored, ids, someone

SECOND = Reference(
    "vggface2", someone(9, vectors=2).vectors, (Sample(7, 1), Sample(8)), (b"x" * 64,)
)
BOTH = replace(someone(1, vectors=2), photo_hashes=(bytes(64),), second=SECOND)


def as_read(reference: Reference | None) -> object:
    return reference and (
        reference.model,
        reference.vectors.tobytes(),
        reference.samples,
        reference.photo_hashes,
    )


def only(store: EmployeeStore) -> Employee:
    (employee,) = store.get([1])
    return employee


def test_both_references_come_back(store: EmployeeStore) -> None:
    store.add(BOTH)
    store.add(someone(2))
    read = only(store)
    assert as_stored(read) == as_stored(BOTH)
    assert as_read(read.second) == as_read(SECOND)
    assert [each.second_model for each in store.read_all()] == ["vggface2", None]
    outlines = [(each.model, each.second_model) for each in store.outlines()]
    assert outlines == [("dlib", "vggface2"), ("dlib", None)]
    assert store.models() == {"dlib": 2}
    assert store.count_second() == 1
    lacking = Selection(lacks_second=True)
    assert ids(store.find(lacking, limit=9)) == [2]
    assert store.count_selected(lacking) == 1


def test_an_update_keeps_and_drops_it(store: EmployeeStore) -> None:
    store.add(someone(1))
    first = only(store)
    store.update(replace(BOTH, enrolment_id="second"), first.enrolment_id)
    assert as_read(only(store).second) == as_read(SECOND)
    store.update(replace(BOTH, enrolment_id="third", second=None), "second")
    assert only(store).second is None
    assert store.count_second() == 0


def test_a_replaced_or_removed_person_leaves_nothing(store: EmployeeStore) -> None:
    store.add(BOTH)
    store.replace(someone(1, seed=1))
    assert only(store).second is None
    store.replace(BOTH)
    store.remove(1)
    assert store.count_second() == 0


def test_a_person_is_seen_under_either_model() -> None:
    other = BOTH.under("vggface2")
    assert other is not None
    assert as_read(other.reference) == as_read(SECOND)
    assert as_read(other.second) == as_read(BOTH.reference)
    back = other.under("dlib")
    assert back is not None
    assert as_stored(back) == as_stored(BOTH)
    assert BOTH.under("onnx-1") is None
    assert someone(1).under("vggface2") is None


def test_what_an_older_release_leaves_behind_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        store.add(BOTH)
        with closing(sqlite3.connect(path, isolation_level=None)) as older:
            older.execute("UPDATE employees SET enrolment_id = 'of an older release'")
        assert only(store).second is None
