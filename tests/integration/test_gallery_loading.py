"""The gallery reads the store: at the start, and again when the change log does not reach back."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.audit import AuditLog
from app.gallery import GalleryLoading
from app.gallery.distances import identified
from app.gallery.memory_gallery import MemoryGallery
from app.gallery.memory_index import MemoryIndex
from app.gallery.rows import Sizes
from app.liveness.client import LivenessClient, Timeouts
from app.readiness import NotReady
from app.recognition.recogniser import Recogniser
from app.storage import Employee, StoreUnavailable
from app.storage.sqlite.store import SqliteStore
from app.usecases.enrolment import Enrolment, EnrolmentRequest
from app.usecases.login import Login
from app.usecases.migration import Migration, Terms
from app.usecases.probes import Examination, Probe
from testbed.employees import face_model, someone
from tests.support.services import service_with


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "employees.db"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    return SqliteStore(path)


def gallery_of(store: SqliteStore, model: str = "dlib") -> MemoryGallery:
    index = MemoryIndex(8, Sizes(exact=6, block=4))
    gallery = MemoryGallery(store, face_model(model, dimension=8), index)
    gallery.load()
    return gallery


def is_found(gallery: MemoryGallery, employee: Employee) -> bool:
    """Whether each of the employee's vectors leads to the employee."""
    for vector in employee.vectors:
        match = identified(gallery.nearest_people(vector))
        if match is None or match[0].employee_id != employee.employee_id:
            return False
    return True


def erase(path: Path, statement: str) -> None:
    """Change the file behind the service's back."""
    database = sqlite3.connect(path)
    with database:
        database.execute(statement)
    database.close()


def test_everyone_in_the_store_is_found_by_each_of_their_vectors(store: SqliteStore) -> None:
    everyone = [someone(employee_id, vectors=1 + employee_id % 3) for employee_id in range(1, 20)]
    for employee in everyone:
        store.add(employee)

    gallery = gallery_of(store)

    assert len(gallery) == 19
    assert all(is_found(gallery, employee) for employee in everyone)


def test_employees_of_another_model_are_not_matched_and_the_log_says_so(store: SqliteStore) -> None:
    store.add(someone(1))

    with capture_logs() as logs:
        gallery = gallery_of(store, model="vggface2")

    assert len(gallery) == 0
    assert identified(gallery.nearest_people(someone(1).vectors[0])) is None
    assert [(entry["log_level"], entry["employees"]) for entry in logs] == [("warning", 1)]


def test_everything_is_read_again_when_the_change_log_was_forgotten(
    store: SqliteStore, path: Path
) -> None:
    for employee_id in (1, 2, 3):
        store.add(someone(employee_id))
    gallery = gallery_of(store)
    store.remove(2)
    store.replace(someone(3, seed=1))
    store.add(someone(4))

    erase(path, "DELETE FROM changes WHERE number < 6")

    assert is_found(gallery, someone(1))
    assert is_found(gallery, someone(3, seed=1))
    assert is_found(gallery, someone(4))
    assert len(gallery) == 3


def test_employees_deleted_by_hand_do_not_match_and_can_return(
    store: SqliteStore, path: Path
) -> None:
    store.add(someone(1))
    gallery = gallery_of(store)

    erase(path, "DELETE FROM employees")

    assert identified(gallery.nearest_people(someone(1).vectors[0])) is None
    assert len(gallery) == 0
    store.add(someone(1))
    assert is_found(gallery, someone(1))


class SlowStore(SqliteStore):
    """Takes its time to read everybody, and counts how often."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0

    def read_all(self) -> Iterator[Employee]:
        self.reads += 1
        time.sleep(0.2)
        yield from super().read_all()


def test_concurrent_searches_share_one_reload(path: Path) -> None:
    store = SlowStore(path)
    for employee_id in (1, 2, 3):
        store.add(someone(employee_id))
    gallery = gallery_of(store)
    store.remove(2)
    store.add(someone(4))
    erase(path, "DELETE FROM changes WHERE number < 5")
    store.reads = 0
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: is_found(gallery, someone(4)), range(8)))
    assert found == [True] * 8
    assert store.reads == 1


def test_no_login_is_answered_until_the_reload_succeeds(path: Path) -> None:
    store = SlowStore(path)
    store.add(someone(1))
    gallery = gallery_of(store)
    store.add(someone(2))
    erase(path, "DELETE FROM changes WHERE number < 2")
    erase(path, "ALTER TABLE employees RENAME COLUMN surname TO family")
    with pytest.raises((GalleryLoading, StoreUnavailable)):
        gallery.nearest_people(someone(1).vectors[0])
    erase(path, "ALTER TABLE employees RENAME COLUMN family TO surname")
    assert is_found(gallery, someone(2))


class FaultyStore(SqliteStore):
    """Meets a bug of its own when it reads everybody, while it is `faulty`."""

    faulty = False

    def read_all(self) -> Iterator[Employee]:
        if self.faulty:
            raise KeyError("a bug")
        yield from super().read_all()


def test_a_failed_reload_is_logged_and_retried(path: Path) -> None:
    store = FaultyStore(path)
    store.add(someone(1))
    gallery = gallery_of(store)
    store.add(someone(2))
    erase(path, "DELETE FROM changes WHERE number < 2")
    store.faulty = True
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(GalleryLoading):
                gallery.nearest_people(someone(1).vectors[0])
    told = [entry for entry in logs if entry["log_level"] == "error"]
    assert {entry["event"] for entry in told} == {"the gallery could not be read again"}
    assert all(entry["exc_info"] for entry in told)
    store.faulty = False
    assert is_found(gallery, someone(2))


class EndlessGallery(MemoryGallery):
    """Never loads."""

    def load(self) -> None:
        raise StoreUnavailable


def test_until_it_is_loaded_no_picture_is_decoded(
    store: SqliteStore, recogniser: Recogniser
) -> None:
    service = service_with(store, recogniser, lambda model: EndlessGallery(store, model))
    service.start()
    no_liveness = LivenessClient(None, Timeouts(1, 1, 1, 0), None)
    examine = Examination(service, no_liveness, replay_window_s=60)
    audit = AuditLog(None)
    log_in = Login(service, examine, audit, Migration(service, audit, Terms()))
    try:
        with pytest.raises(NotReady):
            log_in(Probe(b"no picture"))
        with pytest.raises(NotReady):
            Enrolment(service, AuditLog(None)).add(
                EnrolmentRequest(1, "Grace", "Hopper", photos=[b"no picture"])
            )
    finally:
        service.stop()
