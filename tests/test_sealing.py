"""Vectors are encrypted in the database, bound to their employee, and keys can be changed."""

import base64
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from uuid import uuid4

import numpy as np
import pytest

from app.settings import Settings
from app.storage import Employee, EmployeeStore, UnknownSeal
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import PLAIN, CannotOpen, VectorKeys
from app.storage.sqlite.store import SqliteStore
from tests import sent_photos
from tests.employees import as_stored, everything, ids, someone
from tests.mongod import Mongod
from tests.serving import ROOT, RunningService, environment


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


OLD, NEW = new_key(), new_key()

OpenWith = Callable[[str | None], EmployeeStore]


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def open_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenWith]:
    """Opens the test's own database with other VECTOR_KEYS."""
    with ExitStack() as opened:
        if request.param == "mongod":
            mongod: Mongod = request.getfixturevalue("mongod")
            database = f"test_{uuid4().hex}"
            opened.callback(mongod.drop, database)
            settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)

        def connect(keys: str | None) -> EmployeeStore:
            if request.param == "mongod":
                return MongoStore(settings, VectorKeys(keys))
            return SqliteStore(tmp_path / "employees.db", VectorKeys(keys))

        yield lambda keys: opened.enter_context(closing(connect(keys)))


def test_what_was_sealed_opens_to_the_bit() -> None:
    employee = someone(7, vectors=3, dimension=512)
    for setting in (None, PLAIN, OLD, f"{OLD},{NEW}", f"{PLAIN} {OLD}"):
        keys = VectorKeys(setting)
        opened = keys.open(keys.seal(employee), 7, "dlib", 512)
        assert opened.tobytes() == employee.vectors.tobytes()
        assert opened.dtype == np.float32


def test_the_same_vectors_never_look_the_same() -> None:
    keys = VectorKeys(OLD)
    sealed = {keys.seal(someone(1)).vectors for _ in range(100)}
    assert len(sealed) == 100


@pytest.mark.parametrize("spoilt", ["employee", "model", "dimension", "vectors", "seal", "key"])
def test_what_is_not_what_was_sealed_does_not_open(spoilt: str) -> None:
    keys = VectorKeys(f"{OLD} {NEW}")
    stored = keys.seal(someone(7, vectors=2, dimension=8))
    employee_id, model, dimension = 7, "dlib", 8
    match spoilt:
        case "employee":
            employee_id = 8
        case "model":
            model = "vggface2"
        case "dimension":
            dimension = 16
        case "vectors":
            stored = replace(stored, vectors=stored.vectors[:-1] + b"\0")
        case "seal":
            stored = replace(stored, seal=stored.seal[:-1])
        case "key":
            stored = replace(stored, sealed_with=VectorKeys(NEW).first)
    with pytest.raises(CannotOpen):
        keys.open(stored, employee_id, model, dimension)


@pytest.mark.parametrize("setting", ["hunter2", new_key()[:-4], f"{OLD} plane", f"{OLD[:-1]}!"])
def test_a_key_that_is_none_is_refused_and_not_quoted(setting: str) -> None:
    with pytest.raises(
        ValueError, match=r"entry \d must be 32 bytes in base64, or plain"
    ) as caught:
        VectorKeys(setting)
    assert setting not in str(caught.value)


def test_vectors_lie_encrypted_in_the_sqlite_file(tmp_path: Path) -> None:
    employee = someone(1, dimension=512)
    with closing(SqliteStore(tmp_path / "employees.db", VectorKeys(OLD))) as store:
        store.add(employee)
        lies = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert everything(store) == [as_stored(employee)]
    assert employee.vectors.tobytes()[:16] not in lies


def test_a_record_moved_to_another_id_matches_nobody(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path, VectorKeys(OLD))) as store:
        for employee_id in (1, 2, 3):
            store.add(someone(employee_id))
        with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
            intruder.execute(
                "UPDATE employees SET (vectors, seal) = "
                "(SELECT vectors, seal FROM employees WHERE employee_id = 1) WHERE employee_id = 2"
            )
        # and nobody else is locked out by it
        assert everything(store) == [as_stored(someone(1)), as_stored(someone(3))]
        assert store.get([2]) == []


def test_a_store_that_cannot_be_opened_says_so(open_with: OpenWith) -> None:
    open_with(OLD).add(someone(1))
    open_with(OLD).check_seals()
    open_with(f"{NEW} {OLD}").check_seals()
    name = VectorKeys(OLD).first
    for keys in (None, NEW, PLAIN):
        with pytest.raises(UnknownSeal, match=rf"encrypted with the key {name} \(employees: 1\)"):
            open_with(keys).check_seals()
        assert list(open_with(keys).read_all()) == []


def test_plain_records_are_not_taken_where_all_are_to_be_encrypted(open_with: OpenWith) -> None:
    open_with(None).add(someone(1))
    with pytest.raises(UnknownSeal, match=r"not encrypted \(employees: 1\): add plain at the end"):
        open_with(NEW).check_seals()
    assert open_with(NEW).get([1]) == []
    assert everything(open_with(f"{NEW},{PLAIN}")) == [as_stored(someone(1))]


@pytest.mark.parametrize(
    ("before", "after"), [(PLAIN, NEW), (OLD, NEW), (OLD, PLAIN)], ids=["seal", "rotate", "unseal"]
)
def test_keys_are_changed_while_others_read_and_write(
    open_with: OpenWith, before: str, after: str
) -> None:
    people = {number: someone(number, vectors=2) for number in range(600)}
    writer = open_with(before)
    for employee in people.values():
        writer.add(employee)
    pod = open_with(f"{before} {after}")

    def go_on_working() -> None:
        for number in range(0, 600, 7):
            people[number] = someone(number, seed=1)
            pod.replace(people[number])
        for number in range(3, 600, 70):
            del people[number]
            pod.remove(number)
            assert [e.employee_id for e in pod.get([number - 1])] == [number - 1]

    work = Thread(target=go_on_working)
    work.start()
    store = open_with(f"{after} {before}")
    steps = []
    with suppress(UnknownSeal):  # the pod came in between
        for done, total in store.seal_anew():
            steps.append(0 < done <= total)
    work.join()
    assert steps
    assert all(steps)
    # the pod still sealed with the key that was the first when it started
    list(store.seal_anew())
    last = open_with(after)
    last.check_seals()
    assert everything(last) == [as_stored(people[number]) for number in sorted(people)]
    assert list(last.seal_anew()) == []


def test_a_change_of_keys_that_was_interrupted_goes_on(open_with: OpenWith) -> None:
    store = open_with(OLD)
    for number in range(600):
        store.add(someone(number))
    first = next(iter(open_with(f"{NEW} {OLD}").seal_anew()))
    assert first[1] == 600
    second = list(open_with(f"{NEW} {OLD}").seal_anew())
    assert second[-1] == (600 - first[0], 600 - first[0])
    open_with(NEW).check_seals()


def test_a_change_of_keys_is_no_change_of_an_employee(open_with: OpenWith) -> None:
    store = open_with(OLD)
    store.add(someone(1))
    position = store.position()
    list(open_with(f"{NEW} {OLD}").seal_anew())
    assert store.changes_since(position).employee_ids == frozenset()


def test_who_is_removed_meanwhile_stays_removed(open_with: OpenWith) -> None:
    store = open_with(f"{OLD} {NEW}")
    for number in range(600):
        store.add(someone(number))
    removed: set[int] = set()
    for done, _ in open_with(f"{NEW} {OLD}").seal_anew():
        # the last of those that were done and the first of those that were not
        for number in {*range(done - 50, min(600, done + 50))} - removed:
            store.remove(number)
            removed.add(number)
    assert len(removed) > 100
    assert {e.employee_id for e in store.read_all()} == {*range(600)} - removed


def rotated(folder: Path, keys: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "entry", "vectors", "rotate"],
        cwd=ROOT,
        env=environment(SQLITE_PATH=str(folder / "employees.db"), VECTOR_KEYS=keys),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_service_changes_its_key(tmp_path: Path) -> None:
    """From no encryption to a key, and to another one, as docs/operations.md says."""
    body = {"name": "Grace", "surname": "Hopper", "img_features": [[1.0] * 128]}
    with RunningService(tmp_path) as service:
        assert service.call("POST", "/api/store/1", json=body).status_code == 200
    with RunningService(tmp_path, ready=False, VECTOR_KEYS=OLD) as service:
        assert service.process.wait(timeout=30) == 3
        assert "Cannot start: there are vectors that are not encrypted" in service.log
    with RunningService(tmp_path, VECTOR_KEYS=f"{OLD} plain") as service:
        done = rotated(tmp_path, f"{OLD} plain")
        assert done.returncode == 0, done.stderr
        assert service.call("GET", "/api/get_all/1/1").json()["users"][0]["_id"] == 1
        assert OLD not in service.log
    done = rotated(tmp_path, f"{NEW} {OLD}")
    assert done.returncode == 0, done.stderr
    with RunningService(tmp_path, VECTOR_KEYS=NEW) as service:
        assert service.call("GET", "/api/get_all/1/1").json()["users"][0]["_id"] == 1
    wrong = rotated(tmp_path, OLD)
    assert wrong.returncode == 1
    assert "which VECTOR_KEYS does not hold" in wrong.stderr


def test_a_service_that_can_open_nothing_is_not_ready(tmp_path: Path) -> None:
    """And it does not tell people that they are not enrolled."""
    with RunningService(tmp_path, VECTOR_KEYS=NEW) as service:
        with closing(SqliteStore(tmp_path / "employees.db")) as store:  # somebody without the keys
            store.add(someone(1))
        body = {"img_base64": sent_photos.admiral()}
        for method, path, sent in (("GET", "/readyz", None), ("POST", "/api/find_match", body)):
            answer = service.call(method, path, json=sent)
            assert (answer.status_code, "not ready" in answer.text) == (503, True)


def test_a_record_that_cannot_be_opened_stops_no_change_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "employees.db"
    with closing(SqliteStore(file, VectorKeys(OLD))) as store:
        for number in range(3):
            store.add(someone(number))
    with sqlite3.connect(file) as database:
        database.execute("UPDATE employees SET seal = zeroblob(28) WHERE employee_id = 1")
    done = rotated(tmp_path, f"{NEW} {OLD}")
    assert done.returncode == 1
    assert "1 records cannot be read and stay as they are, all others are sealed" in done.stderr
    with closing(SqliteStore(file, VectorKeys(NEW))) as store:
        assert ids(store.read_all()) == [0, 2]
        store.remove(1)
    assert rotated(tmp_path, f"{NEW} {OLD}").returncode == 0


def test_mongodb_documents_that_cannot_be_read_stop_no_change_of_keys(
    mongod: Mongod, database: str
) -> None:
    with mongod.client() as client:
        client[database]["users"].insert_many(
            [{"_id": number, "name": "a", "surname": "b", "img": "none"} for number in range(300)]
        )
    settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
    with closing(MongoStore(settings, VectorKeys(f"{NEW} plain"))) as store:
        store.add(someone(300))
        with pytest.raises(UnknownSeal, match="300 records cannot be read"):
            list(store.seal_anew())


def test_old_mongodb_documents_are_sealed_too(mongod: Mongod, database: str) -> None:
    """They hold lists of doubles, and name no model."""
    vector = someone(1, dimension=512).vectors[0]
    with mongod.client() as client:
        client[database]["users"].insert_one(
            {"_id": 1.0, "name": "a", "surname": "b", "img": [vector.astype(float).tolist()]}
        )
        settings = Settings(mongo_db_url=f"{mongod.address}/{database}", mongo_db_timeout_s=20)
        with closing(MongoStore(settings, VectorKeys(f"{NEW} plain"))) as store:
            assert list(store.seal_anew()) == [(1, 1)]
        with closing(MongoStore(settings, VectorKeys(NEW))) as store:
            (found,) = store.get([1])
            assert isinstance(found, Employee)
            assert (found.model, found.vectors.shape) == ("vggface2", (1, 512))
            assert store.models() == {"vggface2": 1}
