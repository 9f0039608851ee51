"""How employees look in MongoDB, today's documents and the older ones of deployed databases."""

from typing import Any

import numpy as np
import pytest
from bson import encode
from bson.binary import Binary, BinaryVectorDtype
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from structlog.testing import capture_logs

from app.storage.mongodb.store import MongoStore
from testbed.employees import ids, someone

pytestmark = pytest.mark.mongod

Users = Collection[dict[str, Any]]


def test_the_format(mongo_store: MongoStore, users: Users) -> None:
    employee = someone(7, vectors=2)
    mongo_store.add(employee)
    document = users.find_one({})
    assert document is not None
    assert list(document) == [
        "_id",
        "name",
        "surname",
        "img",
        "model",
        "enrolment_id",
        "photo_hashes",
        "samples",
        "words",
    ]
    assert (document["_id"], document["name"], document["surname"], document["model"]) == (
        7,
        "name 0",
        "surname",
        "dlib",
    )
    for stored, vector in zip(document["img"], employee.vectors, strict=True):
        assert isinstance(stored, Binary)
        assert stored.subtype == 9
        assert stored.as_vector().dtype is BinaryVectorDtype.FLOAT32
        assert bytes(stored)[2:] == vector.astype("<f4").tobytes()


def test_older_documents_are_read(mongo_store: MongoStore, users: Users) -> None:
    doubles = np.random.default_rng(1).normal(size=(2, 512)) * 3
    users.insert_one({"_id": 1, "name": "Old", "surname": "Timer", "img": doubles.tolist()})
    (employee,) = mongo_store.get([1])
    assert (employee.employee_id, employee.name, employee.surname) == (1, "Old", "Timer")
    assert employee.model == "vggface2"
    assert employee.enrolment_id == ""
    assert employee.vectors.dtype == np.float32
    expected = doubles / np.linalg.norm(doubles, axis=1, keepdims=True)
    np.testing.assert_allclose(employee.vectors, expected, rtol=1e-6)
    assert mongo_store.models() == {"vggface2": 1}
    assert ids(mongo_store.read_all()) == [1]
    assert ids(mongo_store.page(10, 1)) == [1]


def test_older_documents_can_be_replaced_and_removed(mongo_store: MongoStore, users: Users) -> None:
    for employee_id in (1.0, 2):  # the MongoDB shell writes whole numbers as doubles
        users.insert_one({"_id": employee_id, "name": "Old", "img": [[1.0] * 512], "x": 1})
    mongo_store.replace(someone(1))
    mongo_store.remove(2)
    assert [employee.model for employee in mongo_store.read_all()] == ["dlib"]
    document = users.find_one({})
    assert document is not None
    assert "x" not in document


@pytest.mark.parametrize(
    "damage",
    [
        {"img": None},
        {"img": []},
        {"img": 5},
        {"img": "text"},
        {"img": [0.5] * 512},
        {"img": [[0.0] * 512]},
        {"img": [[float("nan")] * 512]},
        {"img": [[1.0] * 512, [1.0] * 511]},
        {"img": [[1.0] * 128]},  # 128 numbers of which model?
        {"img": [["a"] * 512]},
        {"img": [Binary(b"\x27", 9)]},
        {"img": [Binary(b"\x27\x00\x00", 9)]},
        {"img": [Binary.from_vector([1, 2], BinaryVectorDtype.INT8)], "model": "dlib"},
        {"img": [[1.0] * 512], "model": 3},
        {"img": [[1.0] * 512], "name": {"first": "Ada"}},
        {"_id": "x"},
        {"_id": 1.5},
    ],
    ids=str,
)
def test_a_damaged_document_locks_nobody_else_out(
    mongo_store: MongoStore, users: Users, damage: dict[str, object]
) -> None:
    mongo_store.add(someone(1))
    mongo_store.add(someone(3))
    users.insert_one({"_id": 2, "name": "N", "surname": "S", "img": [[1.0] * 512]} | damage)
    with capture_logs() as logs:
        assert ids(mongo_store.page(10, 1)) == [1, 3]
        assert ids(mongo_store.get([1, 2, 3])) == [1, 3]
        assert ids(mongo_store.read_all()) == [1, 3]
    assert {entry["log_level"] for entry in logs} == {"error"}
    assert {str(entry["employee_id"]) for entry in logs} == {str(damage.get("_id", 2))}
    assert mongo_store.models()["dlib"] >= 2


def test_a_name_in_a_broken_encoding_is_read_all_the_same(
    mongo_store: MongoStore, users: Users
) -> None:
    document = encode({"_id": 1, "name": "caf??", "surname": "S", "img": [[1.0] * 512]})
    raw = RawBSONDocument(document.replace(b"caf??", b"caf\xe9\xff"))
    users.insert_one(raw)
    assert [employee.name for employee in mongo_store.read_all()] == ["caf\ufffd\ufffd"]
