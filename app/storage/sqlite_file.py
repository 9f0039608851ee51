"""The SQLite file: its connections, its transactions, and that it forgets what is deleted."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from app.storage import StoreUnavailable
from app.storage.sqlite_schema import LAYOUTS, SCHEMA_VERSION

log = structlog.get_logger()

PAGE_BYTES = 16 * 1024
BUSY_TIMEOUT_S = 5.0


class SqliteFile:
    """The file `path`, which is made, with its folder, if it is missing.

    create: False makes no store where there is none.

    Connections do not survive a fork: each process opens it on its own. Raises StoreUnavailable
    when the file cannot be used, is no store, or was written by a newer release.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        self._create = create
        if not create:
            self._must_exist()
        # A thread borrows a connection for as long as it needs one. One for each thread's life
        # would stay open long after the thread: sqlite3 leaves it to the garbage collector.
        self._idle: list[sqlite3.Connection] = []
        with self.connection() as database, _alone_in(path.parent):
            self._prepare(database)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing. IMMEDIATE: the write lock is waited for before anything is read."""
        with self.connection() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; what goes wrong with it is raised as StoreUnavailable."""
        try:
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def wipe_log(self) -> None:
        """Leave nothing of what was removed or replaced in the write-ahead log."""
        with self.connection() as database:
            _wipe_log(database)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _must_exist(self) -> None:
        try:
            there = self._path.is_file()
        except OSError as error:  # its folder may not be entered
            raise self._unavailable(error.strerror or str(error)) from error
        if not there:
            raise StoreUnavailable(f"there is no SQLite file {self._path.absolute()} (SQLITE_PATH)")

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Lay out a new file; check what an existing one is."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if not version and not self._create:
            raise self._unavailable("it is no store of employees")
        (journal_mode,) = database.execute("PRAGMA journal_mode").fetchone()
        if journal_mode != "wal":
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            (journal_mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal_mode != "wal":
            raise self._unavailable("its file system has no shared memory for a write-ahead log")
        if version in (1, 2):  # they left behind what they deleted
            database.execute("VACUUM")
        database.execute("BEGIN IMMEDIATE")
        for statement in LAYOUTS.get(version, "").split(";"):
            database.execute(statement)
        database.execute("COMMIT")
        _wipe_log(database)
        if version > SCHEMA_VERSION:
            raise self._unavailable(
                f"a newer release wrote it (schema version {version}, this release knows "
                f"{SCHEMA_VERSION}): run that release"
            )

    def _borrow(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but not always the same one
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        return connection

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"the SQLite file {self._path} (SQLITE_PATH) is unusable: {reason}")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: SQLite refuses, without waiting, to lay out a file twice at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _wipe_log(database: sqlite3.Connection) -> None:
    """Fold the write-ahead log back into the file and cut it off, when its readers are done."""
    reason: object = "it is being read"
    try:
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:  # the removal itself is done
        busy, reason = True, error
    if busy:
        log.warning("what was removed is in the write-ahead log for now", reason=str(reason))
