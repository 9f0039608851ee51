"""What a store keeps of an employee beside the face: profile, samples, and how to find them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from app.storage import (
    Employee,
    EmployeeChanged,
    EmployeeStore,
    ExternalIdTaken,
    NoSuchEmployee,
    Profile,
    Sample,
    Selection,
    UsedProbe,
)
from app.storage.mongodb.store import MongoStore
from app.storage.names import words
from app.storage.sqlite.store import SqliteStore
from testbed.employees import as_stored, ids, someone
from testbed.serving import ready_app
from tests.integration.conftest import OpenStore

PROFILE = Profile("HR-7", {"shoe": 42, "$a.b": ["é", None]}, ("site-a", "staff"), 100, 200)


def known(
    employee_id: int,
    name: str = "",
    surname: str = "",
    groups: tuple[str, ...] = (),
    external_id: str | None = None,
) -> Employee:
    profile = Profile(external_id, groups=groups)
    return replace(someone(employee_id), name=name, surname=surname, profile=profile)


def found(
    store: EmployeeStore,
    query: str = "",
    groups: frozenset[str] | None = None,
    external_id: str | None = None,
) -> list[int]:
    selection = Selection(words(query), groups, external_id)
    listed = ids(store.find(selection, limit=100))
    assert store.count_selected(selection) == len(listed)
    return listed


def test_profile_and_samples_come_back(store: EmployeeStore) -> None:
    samples = Sample(100, 1, "good"), Sample(None, 0)
    employee = replace(
        someone(7, vectors=2), photo_hashes=(bytes(64),), samples=samples, profile=PROFILE
    )
    store.add(employee)
    (stored,) = store.get([7])
    assert (stored.samples, stored.profile) == (samples, PROFILE)
    store.replace(someone(7, vectors=3))
    (stored,) = store.get([7])
    assert (stored.samples, stored.profile) == ((Sample(),) * 3, Profile())


def test_only_the_enrolment_that_was_read_is_changed(store: EmployeeStore) -> None:
    first, second, third = (someone(1, seed=seed) for seed in range(3))
    store.add(first)
    store.replace(second, first.enrolment_id)
    for change in (store.replace, store.update):
        with pytest.raises(EmployeeChanged):
            change(third, first.enrolment_id)
        change(second, first.enrolment_id)  # a retry
        with pytest.raises(NoSuchEmployee):
            change(someone(2), "")
    assert as_stored(store.get([1])[0]) == as_stored(second)


def test_an_update_keeps_used_probes_and_a_replacement_forgets_them(store: EmployeeStore) -> None:
    first, second, third = (someone(1, seed=seed) for seed in range(3))
    store.add(first)
    store.use_probe(first, UsedProbe(bytes(64), 2e9), lambda _: 0)
    position = store.position()
    store.update(second, first.enrolment_id)
    assert store.used_probes(1) == [UsedProbe(bytes(64), 2e9)]
    assert as_stored(store.get([1])[0]) == as_stored(second)
    assert store.changes_since(position).employee_ids == {1}
    store.replace(third, second.enrolment_id)
    assert store.used_probes(1) == []


def test_external_ids_are_unique(store: EmployeeStore) -> None:
    store.prepare_search()
    store.add(known(1, external_id="HR-1"))
    store.add(known(2))
    store.add(known(3))
    with pytest.raises(ExternalIdTaken):
        store.add(known(4, external_id="HR-1"))
    (second,) = store.get([2])
    for change in (store.replace, store.update):
        with pytest.raises(ExternalIdTaken):
            change(known(2, external_id="HR-1"), second.enrolment_id)
    assert ids(store.read_all()) == [1, 2, 3]
    assert found(store, external_id="HR-1") == [1]
    assert found(store, external_id="HR-2") == []


NAMES = {
    1: ("Łukasz", "Müller-Voß"),
    2: ("Anna Maria", "Straße"),
    3: ("anna", "O'Brien"),
    4: ("ANDRÉ", ""),
    5: ("美咲", "山田"),
    6: ("🙂", "%_"),
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("ann", [2, 3]),
        ("MARIA", [2]),
        ("maria anna", [2]),
        ("strasse", [2]),
        ("voss mull", [1]),
        ("andre", [4]),
        ("andré", [4]),
        ("brien", [3]),
        ("o'b", [3]),
        ("nna", []),
        ("美", [5]),
        ("%", [1, 2, 3, 4, 5, 6]),
        ("anna x", []),
    ],
)
def test_people_are_found_by_the_beginnings_of_their_names(
    store: EmployeeStore, query: str, expected: list[int]
) -> None:
    for employee_id, names in NAMES.items():
        store.add(known(employee_id, *names))
    assert found(store, query) == expected


def test_people_are_found_by_their_groups(store: EmployeeStore) -> None:
    store.add(known(1, "Ada", groups=("a", "b")))
    store.add(known(2, "Ada", groups=("b",)))
    store.add(known(3, "Ada"))
    assert found(store, groups=frozenset({"b"})) == [1, 2]
    assert found(store, "ada", groups=frozenset({"a", "c"})) == [1]
    assert store.members(frozenset({"a", "b"})).tolist() == [1, 2]
    (first,) = store.get([1])
    store.update(known(1, "Ada", groups=("c",)), first.enrolment_id)
    store.remove(2)
    assert store.members(frozenset({"a", "b"})).tolist() == []
    assert store.members(frozenset({"c"})).tolist() == [1]


def test_pages_continue_after_an_id(store: EmployeeStore) -> None:
    for number in range(7):
        store.add(known(number, "Ada" if number % 2 else "Bob"))
    selection = Selection(words("ada"))
    assert ids(store.find(selection, 2)) == [1, 3]
    assert ids(store.find(selection, 2, after=3)) == [5]
    assert ids(store.find(Selection(), 3, after=3)) == [4, 5, 6]


def test_what_an_older_release_writes_into_sqlite_is_found(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with (
        closing(SqliteStore(path)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as older,
    ):
        store.add(replace(known(1, "Ada", groups=("a",)), samples=(Sample(5, quality="good"),)))
        older.execute("UPDATE employees SET name = 'Bea', enrolment_id = 'older'")
        older.execute(
            "INSERT INTO employees (employee_id, name, surname, model, dimension, vectors) "
            "VALUES (2, 'Bo', '', 'dlib', 1, x'0000803f')"
        )
        assert found(store, "ada") == []
        assert found(store, "b") == [1, 2]
        (first,) = store.get([1])
        assert first.samples == (Sample(),)
        assert first.profile.groups == ("a",)
        older.execute("""UPDATE employees SET samples = '["older", [6, 0]]'""")
        assert store.get([1])[0].samples == (Sample(6),)
        older.execute("DELETE FROM employees WHERE employee_id = 1")
        assert found(store, "b") == [2]
        assert store.members(frozenset({"a"})).tolist() == []


@pytest.mark.mongod
def test_what_others_write_into_mongodb_is_found(
    mongo_store: MongoStore, users: Collection[dict[str, Any]]
) -> None:
    mongo_store.add(known(1, "Ada"))
    for_older = ("_id", "name", "surname", "img", "model", "enrolment_id", "photo_hashes")
    document = users.find_one({"_id": 1}, for_older)
    assert document is not None
    users.replace_one({"_id": 1}, document | {"name": "Bea"})
    odd = {"groups": "a", "metadata": 3, "samples": [1], "enrolled_at": 1e15, "external_id": 2}
    users.insert_one(document | odd | {"_id": 2.0, "name": None, "surname": "Bo"})
    assert found(mongo_store, "ada") == []
    assert found(mongo_store, "b") == [1, 2]
    assert [each.profile for each in mongo_store.get([1, 2])] == [Profile(), Profile()]


@pytest.mark.mongod
def test_a_damaged_name_keeps_no_search_waiting(
    mongo_store: MongoStore, users: Collection[dict[str, Any]]
) -> None:
    mongo_store.add(known(1, "Ada"))
    (document,) = users.find({"_id": 1})
    del document["words"]
    damaged = bson.encode(document | {"name": "Ada X"}).replace(b"Ada X", b"Ada \xff")
    raw = CodecOptions(document_class=RawBSONDocument, unicode_decode_error_handler="replace")
    users.delete_one({"_id": 1})
    users.with_options(codec_options=raw).insert_one(RawBSONDocument(damaged, raw))
    assert found(mongo_store, "ada") == [1]


def test_two_who_change_the_same_enrolment(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    first = someone(1)
    one.add(first)
    changed = 0
    for number, store in enumerate([one, other] * 3):
        try:
            store.update(someone(1, seed=number + 1), first.enrolment_id)
            changed += 1
        except EmployeeChanged:
            pass
    assert changed == 1
    assert np.array_equal(other.get([1])[0].vectors, someone(1, seed=1).vectors)


def test_a_record_without_an_enrolment_id_is_changed_by_its_etag(tmp_path: Path) -> None:
    app = ready_app(tmp_path)
    try:
        with closing(sqlite3.connect(tmp_path / "employees.db", isolation_level=None)) as older:
            older.execute(
                "INSERT INTO employees (employee_id, name, surname, model, dimension, vectors) "
                "VALUES (2, 'Bo', '', 'other', 1, x'0000803f')"
            )
        client, path = app.test_client(), "/api/v2/employees/2"
        tag = client.get(path).headers["ETag"]
        for headers, status in (({"If-Match": '"x"'}, 412), ({"If-Match": tag}, 200)):
            answer = client.patch(path, json={"name": "Bob"}, headers=headers)
            assert answer.status_code == status
    finally:
        app.extensions["service"].stop()
