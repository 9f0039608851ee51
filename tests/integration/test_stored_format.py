"""What earlier releases stored is read, and what is stored stays readable for them."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.schema import SCHEMA_VERSION
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY, as_stored, everything
from testbed.mongod import Mongod
from testbed.serving import ROOT, only
from tests.support import stored_formats

BOTH = VectorKeys(f"{VECTOR_KEY} plain")
KEPT = [as_stored(each) for each in (stored_formats.PLAIN, stored_formats.SEALED)]
ROWS = re.findall(
    r"^\| (\d\S+) \| (\d+) \| (.*) \|$", (ROOT / "docs/upgrading.md").read_text(), re.MULTILINE
)
RELEASES = [release for release, _, _ in ROWS]
CHANGED = (
    "the stored format has changed: add a row to docs/upgrading.md, and its store to tests/data"
)


@contextmanager
def mongo_store(mongod: Mongod, database: str, keys: VectorKeys) -> Iterator[MongoStore]:
    with closing(MongoStore(only(mongo_db_url=f"{mongod.address}/{database}"), keys)) as store:
        yield store


@pytest.mark.parametrize("release", RELEASES)
def test_a_sqlite_file_of_a_release_is_read(release: str, tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    stored_formats.make_sqlite(release, path)
    with closing(SqliteStore(path, BOTH)) as store:
        assert everything(store) == KEPT
        assert store.changes_since(1).employee_ids == {2}


@pytest.mark.mongod
@pytest.mark.parametrize("release", RELEASES)
def test_a_mongodb_of_a_release_is_read(
    release: str, mongod: Mongod, database: str, users: Collection[dict[str, Any]]
) -> None:
    for name, documents in stored_formats.documents(release).items():
        users.database[name].insert_many(documents)
    with mongo_store(mongod, database, BOTH) as store:
        assert everything(store) == KEPT
        assert len(store.used_probes(1)) == 1
        assert store.changes_remembered().employee_ids == {1, 2}


def test_sqlite_stores_what_the_last_release_reads(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    SqliteStore(ours).close()
    stored_formats.make_sqlite(RELEASES[-1], theirs)
    assert stored_formats.schema(ours) == stored_formats.schema(theirs), CHANGED
    assert ROWS[-1][1] == str(SCHEMA_VERSION)


@pytest.mark.mongod
def test_mongodb_stores_what_the_last_release_reads(
    mongod: Mongod, database: str, users: Collection[dict[str, Any]]
) -> None:
    with (
        mongo_store(mongod, database, BOTH) as sealed,
        mongo_store(mongod, database, VectorKeys(f"plain {VECTOR_KEY}")) as plain,
    ):
        stored_formats.write(plain, sealed)
    theirs = stored_formats.documents(RELEASES[-1])
    ours = {name: list(users.database[name].find()) for name in theirs}
    for name in theirs:
        assert stored_formats.shape(ours[name]) == stored_formats.shape(theirs[name]), CHANGED
    documented = set(re.findall(r"`([a-z_]+)`", ROWS[-1][2]))
    assert documented == {"unlogged"}.union(*ours["users"])
