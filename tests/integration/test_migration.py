"""Another store or another model: what is there is read, and it is known who must enrol again."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo.collection import Collection

from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY, someone
from testbed.mongod import Mongod
from testbed.serving import ready_app
from tests.support import sent_photos as photos
from tests.support.commands import Done, run


def to_enrol_again(*options: str, **variables: str) -> Done:
    return run("employees", "to-enrol-again", *options, **variables)


def test_people_with_unusable_vectors_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        store.add(someone(1))
        store.add(replace(someone(2), name="Ada", surname="Byron", model="vggface2"))
    with closing(SqliteStore(path, VectorKeys(VECTOR_KEY))) as sealed:
        sealed.add(someone(3))
    listed = to_enrol_again(SQLITE_PATH=str(path), FACE_MODEL="dlib")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout == "2\tAda\tByron\tvggface2\n3\tname 0\tsurname\tcannot be read\n"
    assert f"sqlite:{path}, model dlib: 2 of 3 employees must enrol again." in listed.stderr
    other = to_enrol_again("--json", SQLITE_PATH=str(path), FACE_MODEL="vggface2")
    names = {"name": "name 0", "surname": "surname"}
    assert [json.loads(line) for line in other.stdout.splitlines()] == [
        {"employee_id": "1", **names, "model": "dlib", "second_model": None},
        {"employee_id": "3", **names, "model": None, "second_model": None},
    ]


def test_auto_is_the_model_of_the_stored_vectors_and_nothing_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        for number in range(600):  # several batches
            store.add(replace(someone(number), model="vggface2"))
        settings = {"SQLITE_PATH": str(path), "MODELS_DIR": str(tmp_path / "models")}
        listed = to_enrol_again(**settings, FACE_MODEL="auto")
        assert (listed.returncode, listed.stdout) == (0, "")
        assert "model vggface2: 0 of 600 employees must enrol again." in listed.stderr
        store.add(someone(601))
    several = to_enrol_again(**settings, FACE_MODEL="auto")
    assert several.returncode == 1
    assert "vectors of several models (dlib: 1, vggface2: 600): set FACE_MODEL" in several.stderr
    assert not (tmp_path / "models").exists()


def test_with_another_model_people_enrol_again_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        for number in (1, 2):
            store.add(replace(someone(number, dimension=512), model="vggface2"))
    body = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
    app = ready_app(tmp_path, face_model="dlib")
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    assert client.put("/api/store/1", json=body).status_code == 200
    assert client.get("/readyz").status_code == 200
    probe = {"image_base64": photos.admiral()}
    assert client.post("/api/find_match", json=probe).get_json()["_id"] == 1
    left = to_enrol_again(SQLITE_PATH=str(path), FACE_MODEL="dlib")
    app.extensions["service"].stop()
    assert left.stdout == "2\tname 0\tsurname\tvggface2\n"


def test_no_store_is_made(tmp_path: Path) -> None:
    path = tmp_path / "made" / "employees.db"
    missing = to_enrol_again(SQLITE_PATH=str(path))
    assert missing.returncode == 1
    assert f"there is no SQLite file {path} (SQLITE_PATH)" in missing.stderr
    assert not path.parent.exists()


@pytest.mark.mongod
def test_documents_of_the_original_service(
    mongod: Mongod, database: str, users: Collection[dict[str, Any]]
) -> None:
    vector = [0.5] * 512
    users.insert_many(
        [
            {"_id": 1, "name": "Old", "surname": "Timer", "img": [vector, vector]},
            {"_id": 2.0, "name": "Escape\x1b[2J", "surname": None, "img": [[0.0] * 512]},
            {"_id": Decimal128("3"), "name": "Of", "surname": "Nobody", "img": [vector]},
        ]
    )
    address = f"{mongod.address}/{database}"
    kept = to_enrol_again(MONGO_DB_URL=address, FACE_MODEL="auto")
    assert kept.returncode == 0, kept.stderr
    assert kept.stdout == "2\tEscape [2J\t\tcannot be read\n3\tOf\tNobody\tcannot be read\n"
    assert f"mongodb:{database}.users, model vggface2: 2 of 3 employees" in kept.stderr
    changed = to_enrol_again(MONGO_DB_URL=address, FACE_MODEL="dlib")
    assert "1\tOld\tTimer\tvggface2\n" in changed.stdout
    assert "3 of 3 employees must enrol again" in changed.stderr
