"""Commands on stored employees say which store they work on, and make none."""

import base64
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.sqlite.store import SqliteStore
from testbed.employees import someone
from testbed.mongod import Mongod
from testbed.serving import ROOT
from tests.support import commands

KEY = base64.b64encode(os.urandom(32)).decode()
COMMANDS = [
    ["vectors", "rotate"],
    ["gallery", "check"],
    ["gallery", "rebuild"],
    ["gallery", "report"],
]


def run(command: list[str], **variables: str) -> tuple[int, str]:
    """Exit code and output."""
    done = commands.run(*command, **{"VECTOR_KEYS": f"{KEY} plain"} | variables)
    return done.returncode, done.output


@pytest.fixture
def enrolled(tmp_path: Path) -> Path:
    """A store with three employees."""
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        for employee_id in range(3):
            store.add(someone(employee_id))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_the_store_is_named_with_how_many_it_holds(enrolled: Path, command: list[str]) -> None:
    code, output = run(command, SQLITE_PATH=str(enrolled))
    assert code == 0
    assert f"sqlite:{enrolled}: 3 employees\n" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_none_is_made_where_there_is_none(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "data" / "employes.db", tmp_path / "folder"):
        code, output = run(command, SQLITE_PATH=str(path))
        assert code != 0
        assert f"there is no SQLite file {path} (SQLITE_PATH)" in output
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_relative_path_is_shown_whole(command: list[str]) -> None:
    path = ROOT / "data" / "no" / "employees.db"
    code, output = run(command, SQLITE_PATH="data/no/employees.db")
    assert code != 0
    assert f"there is no SQLite file {path} (SQLITE_PATH)" in output
    assert not path.parent.exists()


def test_files_that_are_no_store_stay_as_they_are(tmp_path: Path) -> None:
    empty, text, other = tmp_path / "empty.db", tmp_path / "text.db", tmp_path / "other.db"
    empty.touch()
    text.write_text("id,name\n" * 100)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE notes (line TEXT)")
    for path in (empty, text, other):
        before = path.read_bytes()
        code, output = run(["vectors", "rotate"], SQLITE_PATH=str(path))
        assert code != 0
        assert f"the SQLite file {path} (SQLITE_PATH) is unusable" in output
        assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "other.db", "text.db"]


@pytest.mark.parametrize("keys", ["", " \n"])
def test_rotation_needs_a_key(enrolled: Path, keys: str) -> None:
    code, output = run(["vectors", "rotate"], SQLITE_PATH=str(enrolled), VECTOR_KEYS=keys)
    assert code != 0
    assert "VECTOR_KEYS is not set" in output


@pytest.mark.mongod
def test_a_collection_that_is_not_there_is_not_made(mongod: Mongod, database: str) -> None:
    with mongod.client() as client:
        client[database]["users"].insert_one({"_id": 1, "name": "a", "surname": "b"})
        right = {"MONGO_DB_URL": f"{mongod.address}/{database}"}
        _, output = run(["gallery", "check"], **right)
        assert f"mongodb:{database}.users: 1 employees\n" in output
        code, output = run(["vectors", "rotate"], **right, MONGO_DB_COLLECTION="user")
        assert code != 0
        expected = f"the database {database} (MONGO_DB_URL) has no collection user"
        assert f"{expected} (MONGO_DB_COLLECTION)" in output
        assert client[database].list_collection_names() == ["users"]


def test_a_database_that_is_away_is_named() -> None:
    code, output = run(["vectors", "rotate"], MONGO_DB_URL="127.0.0.1:1/people")
    assert code != 0
    assert "Error: nothing listens at 127.0.0.1:1 (MONGO_DB_URL)" in output


@pytest.mark.parametrize("command", [["vectors", "rotate"], ["gallery", "check"]])
def test_commands_report_misspelt_settings(tmp_path: Path, command: list[str]) -> None:
    path = str(tmp_path / "employees.db")
    code, output = run(command, SQLITE_PATH=path, VECTOR_KEY="hunter2")
    assert code != 0
    assert "VECTOR_KEY is not a setting: did you mean VECTOR_KEYS?" in output
    code, output = run(command, SQLITE_PATH=path, LOGLEVEL="debug")
    assert code != 0
    assert "Warning: LOGLEVEL is not a setting: did you mean LOG_LEVEL?" in output
