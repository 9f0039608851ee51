"""`flask --app entry backup` and `restore` with MongoDB, while services use the collection."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from app.storage import UsedProbe
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from testbed.employees import VECTOR_KEY, everything, ids, someone
from testbed.mongod import Mongod
from testbed.serving import only
from tests.support.backups import done, every_reader_must_reload_after_a_restore, refused

pytestmark = pytest.mark.mongod


@pytest.fixture
def url(mongod: Mongod, database: str) -> str:
    return f"{mongod.address}/{database}"


@pytest.fixture
def store(url: str) -> Iterator[MongoStore]:
    with closing(MongoStore(only(mongo_db_url=url))) as opened:
        yield opened


def test_a_restore_brings_back_every_record_as_it_was(
    store: MongoStore, users: Collection[dict[str, Any]], url: str, tmp_path: Path
) -> None:
    for number in range(600):  # several batches
        store.add(replace(someone(number, vectors=2), photo_hashes=(bytes(64),)))
    users.insert_one({"_id": "odd", "name": "Of the original service", "img": [[0.0] * 512]})
    users.insert_one({"_id": 700, "name": 5, "img": []})
    kept, documents = everything(store), list(users.find().sort("_id"))
    file = tmp_path / "people.bson"
    assert done("backup", file, url).endswith(f".users are in {file}.\n")
    assert file.stat().st_mode & 0o077 == 0
    assert len(bson.decode_all(file.read_bytes())) == 602
    store.remove(7)
    store.replace(someone(0, seed=5))
    store.add(someone(900))
    said = done("restore", file, url)
    assert said.endswith(f"now holds the 602 employees of {file}, and nobody else.\n")
    assert everything(store) == kept
    assert list(users.find().sort("_id")) == documents
    assert users.database.list_collection_names(filter={"name": "users_restoring"}) == []


def test_a_record_with_a_damaged_name_comes_back(
    users: Collection[dict[str, Any]], url: str, tmp_path: Path
) -> None:
    damaged = bson.encode({"_id": 1, "name": "x?", "img": []}).replace(b"x?", b"x\xff")
    users.insert_one(RawBSONDocument(damaged))
    done("backup", tmp_path / "people.bson", url)
    users.delete_many({})
    done("restore", tmp_path / "people.bson", url)
    raw = users.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    assert [each.raw for each in raw.find()] == [damaged]


def test_every_reader_reloads_everything_after_a_restore(
    store: MongoStore, url: str, tmp_path: Path
) -> None:
    every_reader_must_reload_after_a_restore(store, tmp_path / "people.bson", url)


def test_photos_that_were_used_since_the_backup_stay_used(
    store: MongoStore, url: str, tmp_path: Path
) -> None:
    kept, replaced = someone(1), someone(2)
    for employee in (kept, replaced):
        store.add(employee)
        store.use_probe(employee, UsedProbe(b"1" * 128, 100), lambda _: 0)
    done("backup", tmp_path / "people.bson", url)
    store.use_probe(kept, UsedProbe(b"2" * 128, 100), lambda _: 0)
    store.replace(someone(2, seed=1))
    done("restore", tmp_path / "people.bson", url)
    assert [each.photo_hash for each in store.used_probes(1)] == [b"1" * 128, b"2" * 128]
    assert [each.photo_hash for each in store.used_probes(2)] == [b"1" * 128]


def test_a_lost_collection_comes_back(
    store: MongoStore, users: Collection[dict[str, Any]], url: str, tmp_path: Path
) -> None:
    store.add(someone(1))
    done("backup", tmp_path / "people.bson", url)
    users.database.client.drop_database(users.database.name)
    done("restore", tmp_path / "people.bson", url)
    assert ids(store.read_all()) == [1]


def test_a_backup_that_cannot_be_used_changes_nothing(
    store: MongoStore, users: Collection[dict[str, Any]], url: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.bson"
    assert "holds no employees" in refused("backup", file, url)
    assert not list(tmp_path.iterdir())
    store.add(someone(1))
    done("backup", file, url)
    assert "exists already" in refused("backup", file, url)
    assert "there is no file" in refused("restore", tmp_path / "none", url)
    for name, content, sentence in (
        ("empty", b"", "holds no employees"),
        ("cut", file.read_bytes()[:-3], "is damaged"),
        ("text", b"no backup " * 50, "is damaged"),
        ("others", bson.encode({"_id": 1, "city": "Paris"}), "other documents than employees"),
        ("twice", file.read_bytes() * 2, "the database refused"),
    ):
        (tmp_path / name).write_bytes(content)
        assert sentence in refused("restore", tmp_path / name, url), name
    assert ids(store.read_all()) == [1]
    assert users.database.list_collection_names(filter={"name": "users_restoring"}) == []


def test_keys_must_be_those_of_the_backup_and_of_the_services(
    store: MongoStore, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.bson"
    with closing(MongoStore(only(mongo_db_url=url), VectorKeys(VECTOR_KEY))) as sealed:
        sealed.add(someone(1))
        done("backup", file, url)
        assert "VECTOR_KEYS does not hold" in refused("restore", file, url)
        sealed.remove(1)
        store.add(someone(2))
        assert "add plain" in refused("restore", file, url, VECTOR_KEYS=VECTOR_KEY)
        assert ids(store.read_all()) == [2]
        done("restore", file, url, VECTOR_KEYS=f"{VECTOR_KEY} plain")
        assert ids(sealed.read_all()) == [1]
