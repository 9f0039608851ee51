"""Stores as releases wrote them, in tests/data, to be read by later ones.

`python -m tests.support.stored_formats 0.1.0` writes that of this release.
"""

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bson import json_util

from app.storage import EmployeeStore, Profile, Reference, Sample, UsedProbe
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import VECTOR_KEY, someone
from testbed.mongod import Mongod
from testbed.serving import ROOT, only

DATA = ROOT / "tests/data"
PLAIN = replace(
    someone(1, vectors=2),
    enrolment_id="first",
    photo_hashes=(bytes(64),) * 2,
    samples=(Sample(100, 1, "good"), Sample(200, 1)),
    profile=Profile("HR-1", {"shoe": 42}, ("site-a",), 100, 200),
    second=Reference("vggface2", someone(3).vectors, (Sample(300, 1, "fair"),), (bytes(64),)),
)
"""Stored without encryption, with a used photo, a profile and a second reference."""
SEALED = replace(
    someone(2),
    enrolment_id="second",
    second=Reference("vggface2", someone(4).vectors, (Sample(300),), ()),
)
"""Stored with VECTOR_KEY, with a second reference."""

Document = dict[str, Any]


def write(plain: EmployeeStore, sealed: EmployeeStore) -> None:
    """Write what the files in tests/data hold.

    plain, sealed: the same store, without and with VECTOR_KEY.
    """
    plain.add(PLAIN)
    plain.use_probe(PLAIN, UsedProbe(bytes(128), 2e9), lambda _: 0)
    sealed.add(SEALED)


def main(release: str) -> None:
    """Write the store of this release to tests/data."""
    keys = VectorKeys(f"{VECTOR_KEY} plain")
    with TemporaryDirectory() as folder, Mongod() as mongod, mongod.client() as client:
        path, settings = Path(folder, "employees.db"), only(mongo_db_url=f"{mongod.address}/x")
        with closing(SqliteStore(path)) as plain, closing(SqliteStore(path, keys)) as sealed:
            write(plain, sealed)
        with closing(MongoStore(settings)) as plain, closing(MongoStore(settings, keys)) as sealed:
            write(plain, sealed)
        with closing(sqlite3.connect(path)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            lines = [*database.iterdump(), f"PRAGMA user_version = {version};", ""]
        found = {name: list(client["x"][name].find()) for name in ("users", "users_changes")}
    (DATA / f"store_{release}.sql").write_text("\n".join(lines))
    text = json_util.dumps(found, json_options=json_util.CANONICAL_JSON_OPTIONS, indent=1)
    (DATA / f"store_{release}.json").write_text(f"{text}\n")


def make_sqlite(release: str, path: Path) -> None:
    """Make the SQLite file of a release."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((DATA / f"store_{release}.sql").read_text())


def schema(path: Path) -> list[tuple[Any, ...]]:
    """Return everything that says how a SQLite file stores its rows."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        return [*tables.fetchall(), database.execute("PRAGMA user_version").fetchone()]


def documents(release: str) -> dict[str, list[Document]]:
    """Return the documents of a release, by the collection that holds them."""
    found: dict[str, list[Document]] = json_util.loads((DATA / f"store_{release}.json").read_text())
    return found


def shape(value: object, name: str = "") -> set[tuple[str, str]]:
    """Return the fields of documents, each with its type; those of inner ones after a dot."""
    if isinstance(value, dict):
        return set().union(*(shape(inner, f"{name}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return {(name, "list")}.union(*(shape(inner, name) for inner in value))
    return {(name, type(value).__name__ + str(getattr(value, "subtype", "")))}


if __name__ == "__main__":
    main(sys.argv[1])
