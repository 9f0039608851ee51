"""Records removed or changed with MongoDB's own client: what is stored now is what counts.

tests/integration/test_identification.py says the same of SQLite.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson.binary import Binary, BinaryVectorDtype
from flask.testing import FlaskClient
from pymongo.collection import Collection

from testbed.crowd import THRESHOLD, Face, faces, request
from testbed.mongod import Mongod
from testbed.serving import ready_app

pytestmark = pytest.mark.mongod

Users = Collection[dict[str, Any]]


@pytest.fixture
def client(tmp_path: Path, mongod: Mongod, database: str) -> Iterator[FlaskClient]:
    app = ready_app(
        tmp_path,
        mongo_db_url=f"{mongod.address}/{database}",
        mongo_db_timeout_s=20,
        login_match_threshold=THRESHOLD,
    )
    yield app.test_client()
    app.extensions["service"].stop()


def ask(client: FlaskClient, employee_id: int, kind: str, face: Face) -> int:
    method, path, body = request(employee_id, kind, face)
    return client.open(path, method=method, json=body).status_code


def test_who_is_removed_never_matches_again(client: FlaskClient, users: Users) -> None:
    people = faces(12)
    for employee_id, face in enumerate(people):
        assert ask(client, employee_id, "enrol", face) == 200
        assert ask(client, employee_id, "login", face) == 200
    users.delete_many({"_id": {"$lt": 10}})
    for employee_id, face in enumerate(people):
        assert ask(client, employee_id, "login", face) == (406 if employee_id < 10 else 200)
    users.delete_many({})
    assert {ask(client, 0, "login", face) for face in people} == {406}
    assert ask(client, 0, "enrol", people[0]) == 200
    assert ask(client, 0, "login", people[0]) == 200


def test_old_vectors_never_match_after_a_change(client: FlaskClient, users: Users) -> None:
    old, new = faces(2)
    assert ask(client, 1, "enrol", old) == 200
    vector = Binary.from_vector(new.vector, BinaryVectorDtype.FLOAT32)
    users.update_one({"_id": 1}, {"$set": {"img": [vector]}})
    assert ask(client, 1, "login", old) == 406
