"""The SQLite file: private, whole after a stop, and noticed if it is gone, replaced, or full."""

import os
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.storage import StoreUnavailable
from app.storage.sqlite.store import SqliteStore
from testbed.employees import someone


def test_a_store_that_is_closed_twice_has_all_in_the_one_file(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    store = SqliteStore(path)
    store.add(someone(1))
    others = SqliteStore(path)  # another process that still runs
    assert others.count() == 1
    store.close()
    store.close()
    assert path.with_name("employees.db-wal").stat().st_size == 0
    others.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_others_cannot_read_it(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "made" / "for it" / "employees.db"
    before = os.umask(umask)
    try:
        store = SqliteStore(path)
        store.add(someone(1))
    finally:
        os.umask(before)
    made = [path.parent, path.parent.parent, *path.parent.iterdir()]
    assert {each.name for each in made} >= {"employees.db", "employees.db-wal", "employees.db-shm"}
    assert [each.stat().st_mode & 0o077 for each in made] == [0] * len(made)
    store.close()


def test_a_file_that_others_can_read_already_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "employees.db"
    path.touch()
    path.chmod(0o644)
    with capture_logs() as logged, closing(SqliteStore(path)):
        pass
    assert [(each["path"], "SQLITE_PATH" in each["event"]) for each in logged] == [
        (str(path), True)
    ]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_deleted_beneath_the_store_takes_no_write(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "employees.db", tmp_path / "elsewhere.db"
    with closing(SqliteStore(path)) as store:
        store.add(someone(1))
        path.rename(elsewhere)
        for ask in (store.count, store.position, lambda: store.add(someone(2))):
            with pytest.raises(StoreUnavailable, match=r"SQLITE_PATH.*moved or deleted"):
                ask()
        assert not path.exists()
        elsewhere.rename(path)
        store.add(someone(2))
        assert store.count() == 2
