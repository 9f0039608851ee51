"""The gallery in Milvus under any order of events: the store's records decide, nothing is lost."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from structlog.testing import capture_logs

from app.gallery import IndexEntry, IndexUnavailable, index_repair
from app.gallery.distances import identified
from app.gallery.drift import expected_entries
from app.gallery.milvus_index import MilvusIndex
from app.gallery.shared_gallery import SharedGallery
from app.storage import Employee, EmployeeExists, EmployeeStore, NoSuchEmployee
from app.storage.sealing import VectorKeys
from app.storage.sqlite.store import SqliteStore
from testbed.employees import face_model, ids, someone
from testbed.milvus import MilvusServer
from tests.support.vector_keys import new_key

OpenStore = Callable[[], EmployeeStore]
OpenGallery = Callable[[], SharedGallery]

MODEL = face_model(dimension=8)


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Two of the kinds: the contract of a store, on which all of this rests, is tried with each."""
    kind: str = request.param
    return kind


@pytest.fixture
def prefix(milvus: MilvusServer) -> Iterator[str]:
    """Of the names of the test's own collection."""
    prefix = f"t{uuid4().hex}"
    yield prefix
    client = milvus.client()
    client.drop_alias(f"{prefix}_dlib_complete")
    client.drop_collection(f"{prefix}_dlib")
    client.close()


@pytest.fixture
def index(milvus: MilvusServer, prefix: str) -> MilvusIndex:
    """An index that is marked as complete; the store is still empty."""
    index = milvus.index(prefix)
    index.mark_complete()
    return index


@pytest.fixture
def open_gallery(open_store: OpenStore, milvus: MilvusServer, prefix: str) -> OpenGallery:
    """Opens one more gallery, as another process would, on the test's own store and collection."""

    def connect() -> SharedGallery:
        gallery = SharedGallery(open_store(), milvus.index(prefix), MODEL)
        gallery.load()
        return gallery

    return connect


@pytest.fixture
def gallery(open_gallery: OpenGallery) -> SharedGallery:
    return open_gallery()


def add(gallery: SharedGallery, employee: Employee) -> None:
    with gallery.writing(employee.employee_id):
        gallery.store.add(employee)


def exchange(gallery: SharedGallery, employee: Employee) -> None:
    with gallery.writing(employee.employee_id):
        gallery.store.replace(employee)


def remove(gallery: SharedGallery, employee_id: int) -> None:
    with gallery.writing(employee_id):
        gallery.store.remove(employee_id)


def is_found(gallery: SharedGallery, employee: Employee) -> bool:
    """Whether each of the employee's vectors leads to this very record."""
    for vector in employee.vectors:
        match = identified(gallery.nearest_people(vector))
        if match is None or match[0].enrolment_id != employee.enrolment_id or match[1] > 1e-6:
            return False
    return True


def names(index: MilvusIndex) -> set[str]:
    return {row.name for row in index.entries_between(index_repair.FIRST_ID, index_repair.LAST_ID)}


def holds_exactly(gallery: SharedGallery, *employees: Employee) -> bool:
    return names(gallery.index) == {row.name for e in employees for row in expected_entries(e)}


def test_what_one_writes_every_other_finds_at_once(open_gallery: OpenGallery) -> None:
    one, other = open_gallery(), open_gallery()
    first, second = someone(1, vectors=3), someone(1, vectors=2, seed=1)
    add(one, first)
    assert is_found(other, first)
    exchange(other, second)
    assert is_found(one, second)
    match = identified(one.nearest_people(first.vectors[0]))
    assert match is not None
    assert match[1] > 0.1
    remove(one, 1)
    assert identified(other.nearest_people(second.vectors[0])) is None
    assert holds_exactly(other)
    assert len(other) == 0


def test_a_write_that_ended_before_the_index_is_made_up_for(
    gallery: SharedGallery, open_gallery: OpenGallery
) -> None:
    gallery.catch_up()
    lost, changed, gone = someone(1), someone(2), someone(3)
    for employee in (changed, gone):
        add(gallery, employee)
    changed = replace(changed, vectors=someone(2, seed=1).vectors, enrolment_id=uuid4().hex)
    gallery.store.add(lost)
    gallery.store.replace(changed)
    gallery.store.remove(3)
    assert not is_found(gallery, lost)

    with capture_logs() as logs:
        gallery.catch_up()

    assert is_found(gallery, lost)
    assert is_found(gallery, changed)
    assert holds_exactly(gallery, lost, changed)
    assert [entry["event"] for entry in logs] == ["the index was corrected"]
    gallery.store.add(someone(4))
    restarted = open_gallery()  # nobody was there to follow
    restarted.catch_up()
    assert is_found(restarted, someone_stored(restarted, 4))


def someone_stored(gallery: SharedGallery, employee_id: int) -> Employee:
    (employee,) = gallery.store.get([employee_id])
    return employee


def test_the_retry_of_a_write_that_ended_half_way_completes_it(gallery: SharedGallery) -> None:
    employee = someone(1)
    gallery.store.add(employee)  # and here the first attempt ended
    add(gallery, employee)
    assert is_found(gallery, employee)
    gallery.store.remove(1)
    with pytest.raises(NoSuchEmployee):
        remove(gallery, 1)
    assert holds_exactly(gallery)
    gallery.store.add(employee)
    with pytest.raises(EmployeeExists):
        add(gallery, someone(1, seed=1))
    assert is_found(gallery, employee)


def test_rows_of_a_superseded_enrolment_that_come_late_harm_nobody(gallery: SharedGallery) -> None:
    late, current = someone(1, vectors=2), someone(1, seed=1)
    add(gallery, current)
    gallery.index.put(expected_entries(late))
    match = identified(gallery.nearest_people(late.vectors[0]))
    assert match is None or match[1] > 0.1
    assert is_found(gallery, current)
    gallery.catch_up()
    assert holds_exactly(gallery, current)


def test_any_number_of_former_enrolments_hides_nobody(gallery: SharedGallery) -> None:
    employee = someone(7)
    (vector,) = employee.vectors
    former = [IndexEntry(f"former-{number}", number % 5, vector) for number in range(300)]
    gallery.index.put(former)
    near = replace(employee, vectors=_turned(vector))
    add(gallery, near)
    match = identified(gallery.nearest_people(vector))
    assert match is not None
    assert match[0].employee_id == 7
    gallery.catch_up()
    assert holds_exactly(gallery, near)


def _turned(vector: np.ndarray) -> np.ndarray:
    turned = vector + 0.1 * np.roll(vector, 1)
    return (turned / np.linalg.norm(turned))[None].astype(np.float32)


def test_people_with_many_vectors_leave_room_for_the_cohort(gallery: SharedGallery) -> None:
    """The probe is as near to many people as to the nearest, whose vectors come first."""
    (probe,) = someone(1).vectors
    for employee_id in range(1, 15):
        vectors = np.concatenate([_turned(probe)] * (90 if employee_id == 1 else 1))
        add(gallery, replace(someone(employee_id), vectors=vectors))
    match = identified(gallery.nearest_people(probe))
    assert match is not None
    assert match[1] == pytest.approx(1)


def test_vectors_of_another_model_are_not_there(gallery: SharedGallery) -> None:
    other = replace(someone(1), model="vggface2")
    add(gallery, other)
    assert identified(gallery.nearest_people(other.vectors[0])) is None
    assert holds_exactly(gallery)


class FollowedStore(SqliteStore):
    """Somebody else does something right after each time that records were read."""

    def __init__(self, path: Path, keys: VectorKeys, then: Callable[[], object]) -> None:
        super().__init__(path, keys)
        self._then = then

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        found = super().get(employee_ids, may_lag=may_lag)
        self._then()
        return found


def test_enrolling_again_during_a_comparison_is_not_an_error(
    index: MilvusIndex, tmp_path: Path
) -> None:
    path, again = tmp_path / "employees.db", someone(1, seed=1)
    another = SqliteStore(path)
    store = FollowedStore(path, VectorKeys(), then=lambda: another.add(again))
    gallery = SharedGallery(store, index, MODEL)
    index.put(list(expected_entries(someone(1))))
    assert [row.employee_id for row in gallery.drift_of([1]).garbage] == [1]
    gallery.reconcile([1])
    assert holds_exactly(gallery, again)


class Busy:
    """Somebody who enrols the same person again and again, and never gets to the index."""

    def __init__(self, path: Path, employee_id: int) -> None:
        self._store = SqliteStore(path)
        self._employee_id = employee_id
        self.times = 0
        self.stopped = False

    def __call__(self) -> None:
        if not self.stopped:
            self.times += 1
            self._store.replace(someone(self._employee_id, seed=1_000 + self.times))


def test_a_write_is_not_acknowledged_until_the_index_settles(
    index: MilvusIndex, tmp_path: Path
) -> None:
    path = tmp_path / "employees.db"
    busy = Busy(path, 1)
    store = FollowedStore(path, VectorKeys(), then=busy)
    gallery = SharedGallery(store, index, MODEL)
    employee = someone(1)
    with pytest.raises(IndexUnavailable), gallery.writing(1):
        store.add(employee)
    assert 3 < busy.times < 100
    with pytest.raises(EmployeeExists), gallery.writing(1):  # others have enrolled them meanwhile
        busy.stopped = True
        store.add(employee)
    (current,) = SqliteStore(path).get([1])
    assert holds_exactly(gallery, current)


def test_a_busy_employee_is_reconciled_later_and_delays_nobody(
    index: MilvusIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.shared_gallery._BATCH", 1)
    path = tmp_path / "employees.db"
    busy = Busy(path, 1)
    store = FollowedStore(path, VectorKeys(), then=busy)
    gallery = SharedGallery(store, index, MODEL)
    for employee_id in (1, 2, 3):
        store.add(someone(employee_id))
    gallery.catch_up()
    busy.stopped = True
    assert is_found(gallery, someone_stored(gallery, 2))
    assert is_found(gallery, someone_stored(gallery, 3))
    SqliteStore(path).add(someone(4))
    gallery.catch_up()
    assert holds_exactly(gallery, *store.read_all())


def test_a_login_ends_if_no_near_record_can_be_opened(
    index: MilvusIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.shared_gallery.MOST_FOUND", 64)
    new = new_key()

    def with_keys(keys: str) -> SharedGallery:
        store = SqliteStore(tmp_path / "sealed.db", VectorKeys(keys))
        return SharedGallery(store, index, MODEL)

    ahead = with_keys(new)
    for number in range(70):
        add(ahead, someone(number))
    behind = with_keys(new_key())
    with pytest.raises(IndexUnavailable, match="VECTOR_KEYS does not hold"):
        behind.nearest_people(someone(3).vectors[0])
    with pytest.raises(IndexUnavailable, match="VECTOR_KEYS does not hold"):
        behind.catch_up()
    assert holds_exactly(ahead, *ahead.store.read_all())


def test_a_vector_of_nan_hides_nobody(gallery: SharedGallery) -> None:
    broken, whole = someone(1, vectors=2), someone(2)
    broken.vectors[0] = np.nan
    add(gallery, broken)
    add(gallery, whole)
    assert is_found(gallery, whole)
    match = identified(gallery.nearest_people(broken.vectors[1]))
    assert match is not None
    assert match[0].employee_id == 2 or match[1] == np.inf


def test_a_record_without_an_enrolment_id_is_found(gallery: SharedGallery) -> None:
    old = replace(someone(1, vectors=2), enrolment_id="")
    gallery.store.add(old)
    gallery.catch_up()
    assert is_found(gallery, old)
    exchange(gallery, someone(1, seed=1))
    assert len(names(gallery.index)) == 1


def test_an_incomplete_index_asks_for_a_rebuild(
    open_store: OpenStore, milvus: MilvusServer
) -> None:
    store = open_store()
    store.add(someone(1))
    index = milvus.index(f"t{uuid4().hex}")
    gallery = SharedGallery(store, index, MODEL)
    for question in (
        gallery.load,
        gallery.check_ready,
        lambda: gallery.nearest_people(someone(1).vectors[0]),
        lambda: add(gallery, someone(2)),
    ):
        with pytest.raises(IndexUnavailable, match="gallery rebuild"):
            question()
    assert ids(store.read_all()) == [1]
    list(index_repair.rebuild(gallery))
    gallery.load()
    assert is_found(gallery, someone_stored(gallery, 1))


def test_many_writers_of_few_ids_leave_exactly_the_records(open_gallery: OpenGallery) -> None:
    """And whoever's write is acknowledged finds it, unless somebody wrote after it."""
    wrong: list[str] = []
    start = threading.Barrier(4)
    open_gallery()

    def write(writer: int) -> None:
        gallery = open_gallery()
        generator = np.random.default_rng(writer)
        start.wait(30)
        for turn in range(25):
            employee_id = int(generator.integers(1, 4))
            employee = someone(employee_id, vectors=2, seed=1_000 * (writer + 1) + turn)
            with suppress(EmployeeExists, NoSuchEmployee):
                match generator.integers(3):
                    case 0:
                        add(gallery, employee)
                    case 1:
                        exchange(gallery, employee)
                    case _:
                        remove(gallery, employee_id)
                        continue
                found = is_found(gallery, employee)
                now = gallery.store.get([employee_id])
                if not found and now and now[0].enrolment_id == employee.enrolment_id:
                    wrong.append(f"writer {writer}, turn {turn}: {employee_id} is not found")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert wrong == []
    gallery = open_gallery()
    assert holds_exactly(gallery, *gallery.store.read_all())
    for employee in gallery.store.read_all():
        assert is_found(gallery, employee)
