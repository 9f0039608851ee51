"""The SQLite file: its connections and transactions, and that it is there and forgets."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from app import private_files
from app.storage import StoreUnavailable
from app.storage.sqlite.schema import LAYOUTS, SCHEMA_VERSION

log = structlog.get_logger()

PAGE_BYTES = 16 * 1024
BUSY_TIMEOUT_S = 5.0
_WIPING_TIMEOUT_S = 0.5  # short, as waiting for readers here blocks all writers


class SqliteFile:
    """The file `path`, which is made, with its folder, if it is missing.

    create: False makes no store where there is none.

    Connections do not survive a fork: each process opens it on its own. Raises StoreUnavailable
    when the file cannot be used, is no store, or was written by a newer release.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path.absolute()
        self._create = create
        if not create:
            self._must_exist()
        # A thread borrows a connection for as long as it needs one. One for each thread's life
        # would stay open long after the thread: sqlite3 leaves it to the garbage collector.
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        try:
            if create:
                private_files.make_file(self._path)
            self._inode = _inode(self._path)
            self._replaced = False
            private_files.warn_if_others_read(self._path, "SQLITE_PATH")
        except OSError as error:
            raise self._unavailable(str(error)) from error
        with self.connection() as database, _alone_in(self._path.parent):
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
            self._check_in_place()  # else it is written where nobody will look for it

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; what goes wrong with it is raised as StoreUnavailable."""
        try:
            self._check_in_place()
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._idle.append(connection)
                if self._closed or self._replaced:
                    self._let_go()
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def wipe_log(self) -> None:
        """Leave nothing of what was removed or replaced in the write-ahead log."""
        with self.connection() as database:
            _wipe_log(database)

    def close(self) -> None:
        """Leave everything in the one file, and nothing in its write-ahead log."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        """Fold the write-ahead log into the file that is open, and close what is idle.

        SQLite does that itself, but not while others have the file open, and not once it moved.
        """
        with suppress(IndexError):
            connection = self._idle.pop()
            _wipe_log(connection)
            connection.close()
            while True:
                self._idle.pop().close()

    def _check_in_place(self) -> None:
        """Raise StoreUnavailable where the file at the path is not the one that was opened.

        SQLite would not notice. What it wrote would be in no file, or in one that nobody reads.
        """
        inode = _inode(self._path)
        if inode == self._inode and not self._replaced:
            return
        if inode is None:  # connections stay open: as long as one is, the content is there
            raise self._unavailable(
                "it was moved or deleted while the service runs: put it back, or restart the "
                "service to begin with an empty one"
            )
        # Left open, the write-ahead log of the former file could be taken for that of the new one.
        self._replaced = True
        self._let_go()
        raise self._unavailable(
            "it was replaced while the service runs: restart the service to use the new file "
            "(flask --app entry restore needs no restart)"
        )

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
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode=rw",  # a file that was deleted is not made anew
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but not always the same one
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        return connection

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"the SQLite file {self._path} (SQLITE_PATH) is unusable: {reason}")


def _inode(path: Path) -> tuple[int, int] | None:
    """What tells the file at the path from every other; None if there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


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
        database.execute(f"PRAGMA busy_timeout = {1000 * _WIPING_TIMEOUT_S:.0f}")
        try:
            busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            database.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_S:.0f}")
    except sqlite3.Error as error:  # the removal itself is done
        busy, reason = True, error
    if busy:
        log.warning("what was removed is in the write-ahead log for now", reason=str(reason))
