"""The change log of every kind of store: every worker finds its colleagues' writes."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from app.storage import ChangesForgotten, EmployeeExists, EmployeeStore, NoSuchEmployee
from testbed.employees import Stored, as_stored, everything, someone

OpenStore = Callable[[], EmployeeStore]
Write = Callable[[], None]

WRITERS = 6
WRITES_EACH = 25


def test_changes_name_who_was_added_replaced_and_removed(store: EmployeeStore) -> None:
    positions = [store.position()]
    writes: list[Write] = [
        lambda: store.add(someone(1)),
        lambda: store.add(someone(2)),
        lambda: store.replace(someone(1, seed=1)),
        lambda: store.remove(2),
    ]
    for write in writes:
        write()
        positions.append(store.position())
    assert positions == sorted(set(positions))
    expected = [{1, 2}, {1, 2}, {1, 2}, {2}, set()]
    for position, employee_ids in zip(positions, expected, strict=True):
        changes = store.changes_since(position)
        assert changes.employee_ids == employee_ids
        assert changes.position == positions[-1]


def test_a_position_that_was_never_reached_is_forgotten(store: EmployeeStore) -> None:
    store.add(someone(1))
    with pytest.raises(ChangesForgotten):
        store.changes_since(store.position() + 10**9)


def test_stores_see_each_others_writes_at_once(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    writes: list[tuple[Write, list[Stored]]] = [
        (lambda: writer.add(someone(1)), [as_stored(someone(1))]),
        (lambda: writer.replace(someone(1, seed=1)), [as_stored(someone(1, seed=1))]),
        (lambda: writer.remove(1), []),
    ]
    for write, expected in writes:
        position = reader.position()
        write()
        assert reader.changes_since(position).employee_ids == {1}
        assert [as_stored(employee) for employee in reader.get([1])] == expected
        assert reader.count() == len(expected)


def test_a_reader_that_follows_the_changes_never_skips_one(open_store: OpenStore) -> None:
    """Many threads write through several stores; a follower re-reads only what the log names."""
    written = Event()

    def write(writer: int) -> None:
        store = open_store()
        generator = np.random.default_rng(writer)
        for step in range(WRITES_EACH):
            # Half of the ids are this writer's own, half are fought over with the others.
            own = generator.integers(2)
            employee_id = int(generator.integers(4)) + (100 * (writer + 1) if own else 0)
            position = store.position()
            with contextlib.suppress(EmployeeExists, NoSuchEmployee):
                match generator.integers(3):
                    case 0:
                        store.remove(employee_id)
                    case 1:
                        store.replace(someone(employee_id, seed=1000 * writer + step))
                    case _:
                        store.add(someone(employee_id, seed=1000 * writer + step))
                assert employee_id in store.changes_since(position).employee_ids

    def follow() -> dict[int, Stored]:
        store = open_store()
        known: dict[int, Stored] = {}
        position, finished = 0, False
        while not finished:
            finished = written.is_set()
            changes = store.changes_since(position)
            for employee_id in changes.employee_ids:
                known.pop(employee_id, None)
            for employee in store.get(list(changes.employee_ids)):
                known[employee.employee_id] = as_stored(employee)
            position = changes.position
        return known

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        following = pool.submit(follow)
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            written.set()
        known = following.result()
    assert [known[employee_id] for employee_id in sorted(known)] == everything(open_store())
