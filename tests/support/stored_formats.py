"""Stores as releases wrote them, in tests/data, to be read by later ones."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bson import json_util

from app.storage import EmployeeStore, UsedProbe
from testbed.employees import someone
from testbed.serving import ROOT

DATA = ROOT / "tests/data"
PLAIN = replace(someone(1, vectors=2), enrolment_id="first", photo_hashes=(bytes(64),) * 2)
"""Stored without encryption, with a used photo."""
SEALED = replace(someone(2), enrolment_id="second")
"""Stored with VECTOR_KEY."""

Document = dict[str, Any]


def write(plain: EmployeeStore, sealed: EmployeeStore) -> None:
    """Write what the files in tests/data hold.

    plain, sealed: the same store, without and with VECTOR_KEY.
    """
    plain.add(PLAIN)
    plain.use_probe(PLAIN, UsedProbe(bytes(128), 2e9), lambda _: 0)
    sealed.add(SEALED)


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
    loaded = json.loads((DATA / f"store_{release}.json").read_text())
    return {name: json_util.loads(json.dumps(found)) for name, found in loaded.items()}


def shape(value: object, name: str = "") -> set[tuple[str, str]]:
    """Return the fields of documents, each with its type; those of inner ones after a dot."""
    if isinstance(value, dict):
        return set().union(*(shape(inner, f"{name}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return {(name, "list")}.union(*(shape(inner, name) for inner in value))
    return {(name, type(value).__name__ + str(getattr(value, "subtype", "")))}
