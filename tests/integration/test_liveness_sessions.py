"""Liveness sessions on every kind of store: open for one login, for a short time."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pymongo.collection import Collection

from app.recognition.challenge import CHALLENGES
from app.storage import EmployeeStore, LivenessSession, TooManySessions
from app.storage.mongodb.store import MongoStore
from app.storage.sqlite.store import SqliteStore
from app.usecases.liveness_sessions import LASTS_S, SessionGone, open_session, take_session
from testbed.serving import ROOT

OpenStore = Callable[[], EmployeeStore]

MANY = 1_000
AT_ONCE = 8
NOW = 4e9  # in 2096: MongoDB itself deletes what has expired by its own clock


def a_session(number: int = 1, until: float = NOW + 60) -> LivenessSession:
    return LivenessSession(f"session {number}", "look_up_then_down", "door", until)


def test_a_session_is_taken_once(open_store: OpenStore) -> None:
    mine, colleagues = open_store(), open_store()
    session = open_session(mine, "door")
    assert take_session(colleagues, session.session_id, "door") == session.challenge
    for store in (mine, colleagues):
        with pytest.raises(SessionGone):
            take_session(store, session.session_id, "door")


def test_a_session_is_found_as_it_was_opened(store: EmployeeStore) -> None:
    # MongoDB keeps milliseconds
    store.open_session(a_session(1), NOW, MANY)
    store.open_session(a_session(2), NOW, MANY)
    assert store.take_session("session 2", "door", NOW) == a_session(2)
    assert store.take_session("session 1", "door", NOW) == a_session(1)


def test_nobody_takes_a_session_that_was_never_opened(store: EmployeeStore) -> None:
    open_session(store)
    with pytest.raises(SessionGone):
        take_session(store, "0" * 32)


def test_nobody_takes_anothers_session(store: EmployeeStore) -> None:
    session = open_session(store, "door")
    for stranger in ("gate", ""):
        with pytest.raises(SessionGone):
            take_session(store, session.session_id, stranger)
    take_session(store, session.session_id, "door")  # it was not used up


def test_a_session_expires(store: EmployeeStore) -> None:
    store.open_session(a_session(), NOW, MANY)
    assert store.take_session("session 1", "door", NOW + 60) is None


def test_a_challenge_of_another_release_is_gone(store: EmployeeStore) -> None:
    now = time.time()
    session = replace(a_session(until=now + 60), challenge="stand_on_your_head")
    store.open_session(session, now, MANY)
    with pytest.raises(SessionGone):
        take_session(store, session.session_id, session.owner)


def test_a_session_lasts_long_enough_to_film(store: EmployeeStore) -> None:
    assert open_session(store).until == pytest.approx(time.time() + LASTS_S, abs=5)


def test_no_two_sessions_are_alike_and_every_challenge_comes(store: EmployeeStore) -> None:
    sessions = [open_session(store) for _ in range(150)]
    assert {len(session.session_id) for session in sessions} == {32}
    assert len({session.session_id for session in sessions}) == len(sessions)
    # one of seven stays away in fewer than one of a billion runs
    assert Counter(session.challenge for session in sessions).keys() == CHALLENGES.keys()


def test_only_so_many_are_open(store: EmployeeStore) -> None:
    for number in range(3):
        store.open_session(a_session(number), NOW, most=3)
    with pytest.raises(TooManySessions):
        store.open_session(a_session(3), NOW, most=3)
    assert store.take_session("session 0", "door", NOW)
    store.open_session(a_session(3), NOW, most=3)


def test_of_many_threads_one_takes_it(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(2)]
    for number in range(5):
        stores[0].open_session(a_session(number), NOW, MANY)
        start = Barrier(AT_ONCE)

        def take(turn: int, number: int = number, start: Barrier = start) -> object:
            start.wait()
            return stores[turn % 2].take_session(f"session {number}", "door", NOW)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            taken = list(threads.map(take, range(AT_ONCE)))
        assert [each for each in taken if each] == [a_session(number)]


TAKE = """
import sys
from pathlib import Path
from app.storage.sqlite.store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.readline()
print(sum(store.take_session(f"session {i}", "door", 4e9) is not None for i in range(100)))
"""


def test_of_several_processes_one_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    with closing(SqliteStore(path)) as store:
        for number in range(100):
            store.open_session(a_session(number), NOW, MANY)
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE, path],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for taker in takers:
        assert taker.stdout and taker.stdout.readline() == "open\n"
    for taker in takers:
        assert taker.stdin
        taker.stdin.write("\n")
        taker.stdin.flush()
    assert sum(int(taker.communicate(timeout=60)[0]) for taker in takers) == 100


def test_sqlite_forgets_expired_sessions(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "employees.db")) as store:
        for number in range(3):
            store.open_session(a_session(number), NOW, most=3)
        store.open_session(a_session(3, until=NOW + 120), NOW + 60, most=1)


@pytest.mark.mongod
def test_mongodb_forgets_expired_sessions(
    mongo_store: MongoStore, users: Collection[dict[str, Any]]
) -> None:
    open_session(mongo_store)
    sessions = users.database["users_sessions"]
    (index,) = (each for each in sessions.list_indexes() if each["name"] == "until_1")
    assert (index["key"], index["expireAfterSeconds"]) == ({"until": 1}, 0)
