"""The index in memory, compared with a search that has no index."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from app.gallery.memory_index import MemoryIndex
from app.gallery.rows import Sizes

DIMENSION = 32
EXACT = Sizes()
ALL_FINALISTS = Sizes(exact=12, block=8, finalists=10_000)
FEW_FINALISTS = Sizes(exact=12, block=8, finalists=4)

ids = st.integers(1, 60)
seeds = st.integers(0, 2**32 - 1)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def draw(seed: int, rows: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(rows, DIMENSION)))


class IndexMachine(RuleBasedStateMachine):
    """Holds the same employees in an index and in a dict."""

    @initialize(sizes=st.sampled_from([EXACT, ALL_FINALISTS, FEW_FINALISTS]))
    def start(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.index = MemoryIndex(DIMENSION, sizes)
        self.model: dict[int, NDArray[np.float32]] = {}

    @rule(employee=ids, seed=seeds, rows=st.integers(1, 5))
    def put(self, employee: int, seed: int, rows: int) -> None:
        self.model[employee] = draw(seed, rows)
        self.index.put(np.full(rows, employee), self.model[employee])

    @rule(employees=st.sets(ids, min_size=1), seed=seeds, rows=st.integers(1, 3))
    def put_several(self, employees: set[int], seed: int, rows: int) -> None:
        vectors = draw(seed, rows * len(employees))
        self.index.put(np.repeat(np.array(sorted(employees)), rows), vectors)
        for number, employee in enumerate(sorted(employees)):
            self.model[employee] = vectors[number * rows : (number + 1) * rows]

    @rule(employees=st.lists(ids))
    def remove(self, employees: list[int]) -> None:
        self.index.remove(employees)
        for employee in employees:
            self.model.pop(employee, None)

    @rule(seed=seeds, count=st.integers(1, 12), among=st.none() | st.sets(ids))
    def search(self, seed: int, count: int, among: set[int] | None) -> None:
        (probe,) = draw(seed, 1)
        chosen = None if among is None else np.array(sorted(among), np.int64)
        found = self.index.nearest(probe, count, chosen)
        model = {e: v for e, v in self.model.items() if among is None or e in among}
        assert len(found) == len(set(found)) == min(count, len(model))
        assert set(found) <= set(model)
        if self.sizes is not FEW_FINALISTS:
            # bytes are not exact: whoever comes later may be nearer by no more than this
            slack = 0 if self.sizes is EXACT else 0.02
            similarity = {e: float((v @ probe).max()) for e, v in model.items()}
            last = min((similarity[e] for e in found), default=2)
            for place, employee in enumerate(found):
                after = [similarity[e] for e in found[place:]]
                assert similarity[employee] >= max(after) - slack - 1e-6
            assert all(similarity[e] <= last + slack + 1e-6 for e in set(model) - set(found))

    @rule(data=st.data())
    def find_an_enrolled_vector(self, data: st.DataObject) -> None:
        if self.model:
            employee = data.draw(st.sampled_from(sorted(self.model)))
            probe = data.draw(st.sampled_from(list(self.model[employee])))
            (found,) = self.index.nearest(probe, 1)
            # another may have been given the very same vector
            assert (np.abs(self.model[found] - probe).max(axis=1) < 1e-6).any()

    @invariant()
    def holds_the_same_employees(self) -> None:
        if hasattr(self, "model"):
            assert len(self.index) == len(self.model)
            assert sorted(self.index.employees()) == sorted(self.model)


IndexMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestIndex = IndexMachine.TestCase


def test_an_empty_index_finds_nobody() -> None:
    assert MemoryIndex(DIMENSION).nearest(draw(1, 1)[0], 8) == []


def test_an_employee_with_most_of_the_vectors_does_not_hide_the_others() -> None:
    index = MemoryIndex(DIMENSION, FEW_FINALISTS)
    (probe,) = draw(1, 1)
    index.put(np.full(500, 1), unit(probe + 0.01 * draw(2, 500)))
    index.put(np.arange(2, 12), draw(3, 10))

    found = index.nearest(probe, 8)

    assert found[0] == 1
    assert len(set(found)) == 8


def test_a_thousand_times_the_same_vector_is_searched_in_bounded_work() -> None:
    index = MemoryIndex(DIMENSION, Sizes(exact=100, block=256, finalists=16))
    (probe,) = draw(1, 1)
    index.put(np.arange(1000), np.tile(probe, (1000, 1)))

    assert len(set(index.nearest(probe, 8))) == 8


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("sizes", [Sizes(exact=5_000), Sizes(exact=200, block=64, finalists=64)])
def test_no_search_misses_an_employee_whose_rows_move_under_it(sizes: Sizes) -> None:
    index = MemoryIndex(DIMENSION, sizes)
    people, passers_by = draw(1, 150), draw(2, 1_000)
    index.put(np.arange(150), people)
    done = Event()

    def update() -> None:
        generator = np.random.default_rng(3)
        while not done.is_set():
            coming = 1_000 + generator.choice(1_000, 40, replace=False)
            index.put(coming, passers_by[coming - 1_000])
            again = int(generator.integers(150))
            index.put(np.array([again]), people[again : again + 1])
            index.remove((1_000 + generator.choice(1_000, 40, replace=False)).tolist())

    def search(seed: int) -> list[int]:
        wanted = np.random.default_rng(seed).integers(0, 150, 400).tolist()
        return [e for e in wanted if index.nearest(people[e], 1) != [e]]

    with ThreadPoolExecutor(5) as pool:
        updates = pool.submit(update)
        missed = list(pool.map(search, range(4)))
        done.set()
        updates.result()

    assert missed == [[], [], [], []]
