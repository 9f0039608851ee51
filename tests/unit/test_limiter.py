"""At most so many are inside together, the others wait in line, and nobody waits for long."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest

from app.limiter import Limiter, Overloaded


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


@pytest.mark.parametrize("at_once", [1, 3])
def test_never_more_than_so_many_are_inside(threads: ThreadPoolExecutor, at_once: int) -> None:
    limiter, lock = Limiter(at_once, patience_s=30), Lock()
    inside: list[int] = [0]
    most: list[int] = []

    def enter(_: int) -> None:
        with limiter:
            with lock:
                inside[0] += 1
                most.append(inside[0])
            time.sleep(0.001)
            with lock:
                inside[0] -= 1

    list(threads.map(enter, range(300)))
    assert max(most) == at_once
    assert len(most) == 300


@pytest.mark.parametrize("patience_s", [0, 0.2])
def test_waiting_too_long_is_refused(threads: ThreadPoolExecutor, patience_s: float) -> None:
    limiter = Limiter(1, patience_s)

    def enter() -> None:
        with limiter:
            pass

    with limiter:
        began = time.perf_counter()
        with pytest.raises(Overloaded):
            threads.submit(enter).result()
        assert patience_s <= time.perf_counter() - began < patience_s + 1
    threads.submit(enter).result()


def test_a_slot_is_released_after_an_error(threads: ThreadPoolExecutor) -> None:
    limiter = Limiter(2, patience_s=0.05)

    def fail(number: int) -> str:
        try:
            with limiter:
                time.sleep(0.04)
                raise KeyError(number)
        except (KeyError, Overloaded) as error:
            return type(error).__name__

    outcomes = list(threads.map(fail, range(200)))
    assert set(outcomes) == {"KeyError", "Overloaded"}
    with limiter, limiter:
        pass


def test_entering_again_and_again_overtakes_nobody(threads: ThreadPoolExecutor) -> None:
    limiter, stop = Limiter(1, patience_s=30), Event()

    def come_again() -> int:
        turns = 0
        while not stop.is_set():
            with limiter:
                turns += 1
                sum(range(20_000))  # keeps Python's own lock, too
        return turns

    again = threads.submit(come_again)
    waits = []
    for _ in range(20):
        began = time.perf_counter()
        with limiter:
            waits.append(time.perf_counter() - began)
    stop.set()
    assert again.result() > 1
    assert max(waits) < 0.5


def test_first_come_first_served(threads: ThreadPoolExecutor) -> None:
    limiter = Limiter(1, patience_s=30)
    order: list[int] = []

    def enter(number: int) -> None:
        with limiter:
            order.append(number)

    with limiter:
        waiting = []
        for number in range(10):
            waiting.append(threads.submit(enter, number))
            time.sleep(0.02)
    for each in waiting:
        each.result()
    assert order == list(range(10))


def test_those_inside_and_those_who_wait_are_counted(threads: ThreadPoolExecutor) -> None:
    limiter, leave = Limiter(2, patience_s=30), Event()

    def enter() -> None:
        with limiter:
            leave.wait()

    def becomes(used: int, waiting: int) -> bool:
        deadline = time.monotonic() + 10
        while (limiter.used, limiter.waiting) != (used, waiting) and time.monotonic() < deadline:
            time.sleep(0.001)
        return (limiter.used, limiter.waiting) == (used, waiting)

    assert becomes(0, 0)
    entered = [threads.submit(enter) for _ in range(5)]
    assert becomes(2, 3)
    leave.set()
    for each in entered:
        each.result()
    assert becomes(0, 0)
