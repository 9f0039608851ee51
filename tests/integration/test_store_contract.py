"""What every EmployeeStore promises, on every kind of store."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from app.storage import Employee, EmployeeExists, EmployeeStore, NoSuchEmployee, UsedProbe
from testbed.employees import as_stored, everything, ids, someone

OpenStore = Callable[[], EmployeeStore]

WRITERS = 6


def test_an_empty_store(store: EmployeeStore) -> None:
    assert store.count() == 0
    assert store.models() == {}
    assert list(store.read_all()) == []
    assert store.page(10, 1) == []
    assert store.get([1]) == []
    assert store.get([]) == []
    assert store.position() == 0
    assert store.changes_since(0).employee_ids == frozenset()


def test_add_then_get(store: EmployeeStore) -> None:
    employee = someone(7, vectors=3)
    store.add(employee)
    assert [as_stored(found) for found in store.get([7])] == [as_stored(employee)]


def a_hash(seed: int) -> bytes:
    return bytes([seed]) * 64


def test_the_hashes_of_photos_come_back(store: EmployeeStore) -> None:
    employee = replace(someone(7), photo_hashes=(a_hash(1), a_hash(2)))
    store.add(employee)
    assert store.get([7])[0].photo_hashes == (a_hash(1), a_hash(2))
    store.replace(replace(employee, photo_hashes=()))
    assert store.get([7])[0].photo_hashes == ()


def a_probe(seed: int) -> UsedProbe:
    return UsedProbe(a_hash(seed) * 2, until=1e9 + seed / 4)


def others(
    store: EmployeeStore, employee: Employee, probe: UsedProbe, forgotten: int = 0
) -> list[UsedProbe]:
    """Use a probe; which others it was checked against."""
    shown: list[Sequence[UsedProbe]] = []

    def check(known: Sequence[UsedProbe]) -> int:
        shown.append(known)
        return forgotten

    store.use_probe(employee, probe, check)
    return list(shown[-1])


class Copied(Exception):
    """Somebody's check found the probe to be a copy."""


def refuse(_: Sequence[UsedProbe]) -> int:
    raise Copied


def test_every_store_on_it_knows_which_probes_were_used(open_store: OpenStore) -> None:
    mine, colleagues = open_store(), open_store()
    first, second = someone(1), someone(2)
    mine.add(first)
    mine.add(second)
    assert others(mine, first, a_probe(1)) == []
    assert others(colleagues, first, a_probe(2)) == [a_probe(1)]
    assert others(colleagues, second, a_probe(3)) == []
    assert others(mine, first, a_probe(4)) == [a_probe(1), a_probe(2)]
    assert colleagues.used_probes(1) == [a_probe(1), a_probe(2), a_probe(4)]
    assert [as_stored(found) for found in mine.get([1])] == [as_stored(first)]


def test_a_probe_that_is_refused_is_not_remembered_and_displaces_none(
    store: EmployeeStore,
) -> None:
    employee = someone(1)
    store.add(employee)
    known = [a_probe(seed) for seed in range(4)]
    for probe in known:
        others(store, employee, probe)
    for _ in range(9):
        with pytest.raises(Copied):
            store.use_probe(employee, known[-1], refuse)
    assert store.used_probes(1) == known


def test_the_oldest_probes_are_forgotten_as_the_check_says(store: EmployeeStore) -> None:
    employee, other = someone(1), someone(2)
    store.add(employee)
    store.add(other)
    others(store, other, a_probe(0))
    used = [UsedProbe(a_hash(number), until=(-1) ** number * 1e9) for number in range(7)]
    for probe in used[:4]:
        others(store, employee, probe)
    assert others(store, employee, used[4], forgotten=1) == used[:4]
    assert others(store, employee, used[5], forgotten=3) == used[1:5]
    assert store.used_probes(1) == used[4:6]
    assert others(store, employee, used[6], forgotten=2) == used[4:6]
    assert store.used_probes(1) == used[6:]
    assert store.used_probes(2) == [a_probe(0)]


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_used_probes_go_with_the_employee(store: EmployeeStore, how: str) -> None:
    employee = someone(1)
    store.add(employee)
    others(store, employee, a_probe(1))
    if how == "removed":
        store.remove(1)
    else:
        store.replace(someone(1, seed=2))
    with pytest.raises(NoSuchEmployee):
        others(store, employee, a_probe(2))
    assert store.used_probes(1) == []
    if how == "removed":
        store.add(someone(1, seed=3))
    (successor,) = store.get([1])
    assert others(store, successor, a_probe(3)) == []


def test_probes_used_at_once_are_checked_against_each_other(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    employee = someone(1)
    stores[0].add(employee)
    barrier = Barrier(WRITERS)

    def use(writer: int) -> int:
        barrier.wait()
        return len(others(stores[writer % 2], employee, a_probe(writer)))

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sorted(pool.map(use, range(WRITERS))) == list(range(WRITERS))


def test_of_one_probe_used_many_times_at_once_one_is_remembered(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    employee = someone(1)
    stores[0].add(employee)
    barrier = Barrier(WRITERS)

    def check(known: Sequence[UsedProbe]) -> int:
        if a_probe(7) in known:
            raise Copied
        return 0

    def use(writer: int) -> bool:
        barrier.wait()
        try:
            stores[writer % 2].use_probe(employee, a_probe(7), check)
        except Copied:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(use, range(WRITERS))) == 1
    assert stores[1].used_probes(1) == [a_probe(7)]


def test_get_leaves_out_strangers_and_sorts(store: EmployeeStore) -> None:
    for employee_id in (3, 1, 2):
        store.add(someone(employee_id))
    assert ids(store.get([3, 99, 1, 3])) == [1, 3]


def test_outlines_are_of_everyone_in_order(store: EmployeeStore) -> None:
    for employee_id in (20, 3, 100):
        store.add(someone(employee_id))
    outlines = [(each.employee_id, each.name, each.model) for each in store.outlines()]
    assert outlines == [(each, "name 0", "dlib") for each in ("3", "20", "100")]


def test_get_takes_thousands_of_ids(store: EmployeeStore) -> None:
    store.add(someone(40_000))
    assert ids(store.get(range(100_000))) == [40_000]


def test_adding_twice_keeps_the_first(store: EmployeeStore) -> None:
    store.add(someone(1, seed=1))
    with pytest.raises(EmployeeExists):
        store.add(someone(1, seed=2))
    assert everything(store) == [as_stored(someone(1, seed=1))]


def test_an_enrolment_that_is_made_again_is_a_success(store: EmployeeStore) -> None:
    employee = someone(1, seed=1)
    store.add(employee)
    store.add(employee)
    assert everything(store) == [as_stored(employee)]
    assert store.get([1])[0].enrolment_id == employee.enrolment_id
    with pytest.raises(EmployeeExists):
        store.add(replace(employee, enrolment_id="another"))
    with pytest.raises(EmployeeExists):
        store.add(replace(employee, enrolment_id=""))


def test_an_enrolment_that_was_replaced_is_not_made_again(store: EmployeeStore) -> None:
    first, second = someone(1, seed=1), someone(1, seed=2)
    store.add(first)
    store.replace(second)
    store.replace(second)
    with pytest.raises(EmployeeExists):
        store.add(first)
    store.add(second)
    assert everything(store) == [as_stored(second)]
    assert store.get([1])[0].enrolment_id == second.enrolment_id


def test_replace_replaces_everything(store: EmployeeStore) -> None:
    store.add(someone(1, vectors=3))
    successor = replace(someone(1, dimension=4, seed=5), name="new", surname="er", model="vggface2")
    store.replace(successor)
    assert everything(store) == [as_stored(successor)]


def test_replacing_nobody(store: EmployeeStore) -> None:
    with pytest.raises(NoSuchEmployee):
        store.replace(someone(1))
    assert store.count() == 0


def test_remove(store: EmployeeStore) -> None:
    store.add(someone(1))
    store.add(someone(2))
    store.remove(1)
    assert ids(store.read_all()) == [2]
    assert store.get([1]) == []
    with pytest.raises(NoSuchEmployee):
        store.remove(1)


def test_an_id_can_be_taken_again(store: EmployeeStore) -> None:
    store.add(someone(1, seed=1))
    store.remove(1)
    store.add(someone(1, seed=2))
    assert everything(store) == [as_stored(someone(1, seed=2))]


def test_pages(store: EmployeeStore) -> None:
    for employee_id in (5, 3, 1, 4, 2):
        store.add(someone(employee_id))
    assert [ids(store.page(2, number)) for number in (1, 2, 3, 4)] == [[1, 2], [3, 4], [5], []]
    assert store.page(2, 10**30) == []
    assert ids(store.page(10**30, 1)) == [1, 2, 3, 4, 5]


def test_read_all_reads_across_batches(store: EmployeeStore) -> None:
    expected = range(0, 1200, 4)
    for employee_id in expected:
        store.add(someone(employee_id))
    assert ids(store.read_all()) == list(expected)


def test_writing_while_reading_all(store: EmployeeStore) -> None:
    for employee_id in range(10):
        store.add(someone(employee_id))
    for employee in store.read_all():
        store.remove(employee.employee_id)
    assert store.count() == 0


def test_models_are_counted(store: EmployeeStore) -> None:
    for employee_id, model in enumerate(["dlib", "vggface2", "dlib"]):
        store.add(replace(someone(employee_id), model=model))
    assert store.models() == {"dlib": 2, "vggface2": 1}
    assert store.count() == 3


@pytest.mark.parametrize("employee_id", [0, 1, 2**31, 2**53 + 1, 2**63 - 1])
def test_ids_of_up_to_63_bits(store: EmployeeStore, employee_id: int) -> None:
    store.add(someone(employee_id))
    assert ids(store.get([employee_id])) == [employee_id]
    assert ids(store.read_all()) == [employee_id]
    assert store.changes_since(0).employee_ids == {employee_id}
    store.remove(employee_id)
    assert store.count() == 0


def test_names_of_any_script(store: EmployeeStore) -> None:
    employee = replace(someone(1), name="Łukasz 美咲 🙂", surname='O\'Brien; -- "$ne"\u0301')
    store.add(employee)
    assert everything(store) == [as_stored(employee)]


def test_what_was_stored_is_there_after_reopening(open_store: OpenStore) -> None:
    first = open_store()
    first.add(someone(1))
    position = first.position()
    first.close()
    second = open_store()
    assert everything(second) == [as_stored(someone(1))]
    assert second.position() == position
    assert second.models() == {"dlib": 1}


def test_of_concurrent_adds_of_one_id_exactly_one_wins(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    barrier = Barrier(WRITERS)

    def add(writer: int) -> int | None:
        barrier.wait()
        try:
            stores[writer % 2].add(someone(1, seed=writer))
        except EmployeeExists:
            return None
        return writer

    with ThreadPoolExecutor(WRITERS) as pool:
        winners = [writer for writer in pool.map(add, range(WRITERS)) if writer is not None]
    assert len(winners) == 1
    assert everything(stores[0]) == [as_stored(someone(1, seed=winners[0]))]


def finite_vectors() -> st.SearchStrategy[NDArray[np.float32]]:
    shapes = st.tuples(st.integers(1, 3), st.integers(1, 5))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    return arrays(np.float32, shapes, elements=numbers).map(unit)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = vectors.astype(np.float64)
    rows[np.abs(rows).max(axis=1) < 1e-30, 0] = 1
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
employees = st.builds(
    Employee,
    employee_id=st.integers(0, 5) | st.integers(0, 2**63 - 1),
    name=text,
    surname=text,
    vectors=finite_vectors(),
    model=st.sampled_from(["dlib", "vggface2"]),
    photo_hashes=st.lists(st.binary(min_size=64, max_size=64), max_size=2).map(tuple),
)
actions = st.tuples(st.sampled_from(["add", "replace", "remove"]), employees)


@contextlib.contextmanager
def emptied(store: EmployeeStore) -> Iterator[None]:
    try:
        yield
    finally:
        for employee in store.read_all():
            store.remove(employee.employee_id)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(actions, max_size=12))
def test_a_store_behaves_like_a_dict(
    store: EmployeeStore, history: list[tuple[str, Employee]]
) -> None:
    truth: dict[int, Employee] = {}
    changed = set()
    start = store.position()
    with emptied(store):
        for action, employee in history:
            employee_id = employee.employee_id
            exists = employee_id in truth
            refusal: type[Exception] | None
            if action == "add":
                refusal = EmployeeExists if exists else None
            else:
                refusal = None if exists else NoSuchEmployee
            with pytest.raises(refusal) if refusal else contextlib.nullcontext():
                match action:
                    case "add":
                        store.add(employee)
                    case "replace":
                        store.replace(employee)
                    case _:
                        store.remove(employee_id)
            if refusal:
                continue
            changed.add(employee_id)
            if action == "remove":
                del truth[employee_id]
            else:
                truth[employee_id] = employee
        expected = [as_stored(truth[employee_id]) for employee_id in sorted(truth)]
        assert everything(store) == expected
        assert [as_stored(employee) for employee in store.page(100, 1)] == expected
        assert store.count() == len(truth)
        assert sum(store.models().values()) == len(truth)
        assert store.changes_since(start).employee_ids >= changed
