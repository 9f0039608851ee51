"""The index in Milvus keeps the contract of the index in memory, and what only it promises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize
from numpy.typing import NDArray

from app.gallery import IndexEntry, IndexUnavailable
from app.gallery.milvus_index import MilvusIndex
from app.gallery.rows import Vectors
from testbed.milvus import MilvusServer
from tests.unit.test_gallery_index import DIMENSION, EXACT, IndexMachine, draw

EVERYONE = (-(2**63) + 1, 2**63 - 1)


class ByEmployee:
    """A shared index as the contract of the index in memory speaks of it: in employees."""

    def __init__(self, index: MilvusIndex) -> None:
        self._index = index

    def put(self, owners: np.ndarray, vectors: Vectors) -> None:
        before = self._index.entries_of(sorted(set(owners.tolist())))
        self._index.put(
            [
                IndexEntry(f"{owner}-{uuid4().hex}-0", int(owner), vector)
                for owner, vector in zip(owners, vectors, strict=True)
            ]
        )
        self._index.remove([row.name for row in before])

    def remove(self, employee_ids: list[int]) -> None:
        self._index.remove([row.name for row in self._index.entries_of(employee_ids)])

    def nearest(
        self, probe: Vectors, count: int, among: NDArray[np.int64] | None = None
    ) -> list[int]:
        rows = count
        while True:
            found = self._index.nearest(probe, rows, among)
            employees = list(dict.fromkeys(employee_id for _, employee_id in found))
            if len(employees) >= count or len(found) < rows:
                return employees[:count]
            rows *= 4

    def employees(self) -> list[int]:
        return sorted({row.employee_id for row in self._index.entries_between(*EVERYONE)})

    def __len__(self) -> int:
        return len(self.employees())


class SharedIndexMachine(IndexMachine):
    """The same employees in Milvus and in a dict."""

    server: ClassVar[MilvusServer]

    @initialize()
    def start(self) -> None:
        self.sizes = EXACT
        shared = self.server.index("machine", DIMENSION)
        shared.remove([row.name for row in shared.entries_between(*EVERYONE)])
        self.index = ByEmployee(shared)
        self.model = {}


SharedIndexMachine.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.usefixtures("milvus_of_the_machine")
class TestSharedIndex(SharedIndexMachine.TestCase):
    """The contract."""


@pytest.fixture(scope="module")
def milvus_of_the_machine(milvus: MilvusServer) -> None:
    SharedIndexMachine.server = milvus


@pytest.fixture
def index(milvus: MilvusServer) -> Iterator[MilvusIndex]:
    index = milvus.index(f"t{uuid4().hex}", DIMENSION)
    yield index
    client = milvus.client()
    client.drop_collection(index.collection)
    client.close()


def some_rows(count: int, *, start: int = 0) -> list[IndexEntry]:
    vectors = draw(start, count)
    return [IndexEntry(f"row {start + n}", start + n, vectors[n]) for n in range(count)]


def test_an_empty_index_finds_nobody(index: MilvusIndex) -> None:
    assert index.nearest(draw(1, 1)[0], 8) == []
    assert len(index) == 0
    assert index.entries_of([1]) == []


def test_the_nearest_rows_come_first_as_numpy_ranks_them(index: MilvusIndex) -> None:
    rows = some_rows(3_000)
    index.put(rows)
    index.flush()  # from here on HNSW searches, not a scan
    vectors = np.stack([row.vector for row in rows])
    missed = 0
    for probe in draw(99, 50):
        expected = np.argsort(-(vectors @ probe))[:8]
        found = [employee_id for _, employee_id in index.nearest(probe, 8)]
        missed += len(set(expected.tolist()) - set(found))
        assert found[0] == expected[0]
    assert missed <= 4  # of 400


def test_a_row_that_is_put_twice_is_there_once_with_its_last_vector(index: MilvusIndex) -> None:
    first, second = draw(1, 2)
    index.put([IndexEntry("one", 1, first)])
    index.put([IndexEntry("one", 1, second)])
    (row,) = index.entries_of([1])
    np.testing.assert_array_equal(row.vector, second)
    assert len(index) == 1
    index.remove(["one", "unknown"])
    assert len(index) == 0


@pytest.mark.parametrize(
    "name", ["nobody's", 'some "row"', 'Zoë\'s "row"', "back\\slash", "ends\\"]
)
def test_a_row_of_any_name_can_be_taken_away(index: MilvusIndex, name: str) -> None:
    first, second = draw(1, 2)
    index.put([IndexEntry(name, 1, first), IndexEntry("one", 2, second)])
    index.remove([name])
    assert [row.name for row in index.entries_between(*EVERYONE)] == ["one"]


def test_rows_come_back_to_the_bit_and_by_ranges_of_any_ids(index: MilvusIndex) -> None:
    ids = [-(2**63) + 2, -5, 0, 7, 8, 2**53 + 1, 2**63 - 1]
    rows = [IndexEntry(f"of {i}", i, v) for i, v in zip(ids, draw(5, len(ids)), strict=True)]
    index.put(rows)
    found = {row.employee_id: row for row in index.entries_between(*EVERYONE)}
    assert sorted(found) == ids
    for row in rows:
        assert found[row.employee_id].vector.tobytes() == row.vector.tobytes()
    between = [row.employee_id for row in index.entries_between(-5, 8)]
    assert sorted(between) == [0, 7, 8]
    assert [row.employee_id for row in index.entries_of([2**53 + 1, 3])] == [2**53 + 1]


def test_more_rows_than_one_search_finds_are_read_all_the_same(index: MilvusIndex) -> None:
    index._most_rows = 50
    rows = some_rows(500)
    index.put(rows)
    for found in (
        index.entries_between(*EVERYONE),
        index.entries_of([row.employee_id for row in rows]),
    ):
        assert sorted(row.name for row in found) == sorted(row.name for row in rows)


def test_several_processes_share_it_and_its_mark(milvus: MilvusServer, index: MilvusIndex) -> None:
    other = milvus.index(index.collection.removesuffix("_dlib"), DIMENSION)
    assert not other.is_complete()
    index.mark_complete()
    index.mark_complete()
    assert other.is_complete()
    (row,) = some_rows(1)
    index.put([row])
    assert other.nearest(row.vector, 1) == [(row.name, row.employee_id)]


def test_processes_that_start_at_once_make_one_index(milvus: MilvusServer) -> None:
    prefix = f"t{uuid4().hex}"
    with ThreadPoolExecutor(4) as threads:
        indexes = list(threads.map(lambda _: milvus.index(prefix, DIMENSION), range(4)))
    (row,) = some_rows(1)
    indexes[0].put([row])
    assert indexes[3].nearest(row.vector, 1) == [(row.name, row.employee_id)]


def test_models_have_collections_of_their_own(milvus: MilvusServer) -> None:
    address = milvus.index("t")._address
    index = MilvusIndex(address, "employees", "facenet-0123456789ab", 512)
    assert index.collection == "employees_facenet_0123456789ab"


def test_a_server_that_hangs_or_is_down_is_reported_in_time() -> None:
    with MilvusServer() as server:
        index = server.index("t", DIMENSION, timeout_s=1)
        (row,) = some_rows(1)
        index.put([row])
        with server.frozen(), pytest.raises(IndexUnavailable, match="did not answer within 1 s"):
            index.nearest(row.vector, 1)
        assert index.nearest(row.vector, 1)
        server.kill()
        with pytest.raises(IndexUnavailable, match=r"\(MILVUS_URI\) cannot be reached"):
            index.nearest(row.vector, 1)
        server.start()
        index.prepare()
        assert index.nearest(row.vector, 1)
