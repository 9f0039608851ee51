"""Keys of vectors are changed while the service runs, as docs/keys.md says."""

import sqlite3
from contextlib import closing
from pathlib import Path

from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import ids, someone
from testbed.serving import RunningService
from tests.support import sent_photos
from tests.support.commands import Done, run
from tests.support.vector_keys import new_key

OLD, NEW = new_key(), new_key()


def rotated(folder: Path, keys: str) -> Done:
    return run("vectors", "rotate", SQLITE_PATH=str(folder / "employees.db"), VECTOR_KEYS=keys)


def test_a_service_changes_its_key(tmp_path: Path) -> None:
    """From no encryption to a key, and to another one, as docs/keys.md says."""
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
    assert ("unreadable employee skipped" in done.stderr, done.stdout) == (True, "")
    with closing(SqliteStore(file, VectorKeys(NEW))) as store:
        assert ids(store.read_all()) == [0, 2]
        store.remove(1)
    assert rotated(tmp_path, f"{NEW} {OLD}").returncode == 0
