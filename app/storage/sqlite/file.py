"""The SQLite file: its connections, transactions and schema, and the wiping of removed data."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from app import private_files
from app.storage import StoreUnavailable
from app.storage.sqlite import sessions
from app.storage.sqlite.schema import ADDITIONS, MIGRATIONS, QUALITIES, SCHEMA_VERSION, SECOND

log = structlog.get_logger()

PAGE_BYTES = 16 * 1024  # for new files; a record, with its vectors, usually fits into one page
BUSY_TIMEOUT_S = 5.0  # how long to wait for the locks of others before a request fails
_WIPE_TIMEOUT_S = 0.5  # short, because all writers are blocked while this waits for readers


class SqliteFile:
    """The file `path`. Creates it, and its folder, if it is missing.

    Connections do not survive a fork, so each process must open the file itself. Raises
    StoreUnavailable if the file cannot be used, is not an employee database, or was written by a
    newer release.

    create: if False, the database must exist.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path.absolute()
        self._create = create
        # A pool, from which a thread borrows a connection while it needs one. A connection of its
        # own would stay open long after the thread ends, until the garbage collector closes it.
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        try:
            if create:
                private_files.make_file(self._path)
            elif not self._path.is_file():
                raise StoreUnavailable(f"there is no SQLite file {self._path} (SQLITE_PATH)")
            self._inode = _inode(self._path)
            self._replaced = False
            private_files.warn_if_others_read(self._path, "SQLITE_PATH")
        except OSError as error:
            raise self._unavailable(str(error)) from error
        with self.connection() as database, _folder_lock(self._path.parent):
            self._prepare(database)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction that waits for the write lock first.

        Commits if the block ends normally, and rolls back otherwise.
        """
        with self.connection() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")
            self._check_in_place()  # otherwise the write is lost with the former file

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that no other thread uses; raise its errors as StoreUnavailable."""
        try:
            self._check_in_place()
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._idle.append(connection)
                if self._closed or self._replaced:
                    self._close_idle()
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def wipe_log(self) -> None:
        """Erase removed and replaced data from the write-ahead log."""
        with self.connection() as database:
            _wipe_log(database)

    def close(self) -> None:
        """Fold the write-ahead log into the file, and close all connections."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        """Fold the write-ahead log into the open file, and close idle connections.

        SQLite folds it by itself on closing, but not while others have the file open, and not after
        the file was moved.
        """
        with suppress(IndexError):
            connection = self._idle.pop()
            _wipe_log(connection)
            connection.close()
            while True:
                self._idle.pop().close()

    def _check_in_place(self) -> None:
        """Raise StoreUnavailable if the file at the path is not the one that was opened.

        SQLite does not notice this, and would write to a deleted file, or to one that nobody reads.
        """
        inode = _inode(self._path)
        if inode == self._inode and not self._replaced:
            return
        if inode is None:  # open connections keep the content of a deleted file, so close none
            raise self._unavailable(
                "it was moved or deleted while the service was running: put it back, or restart "
                "the service to begin with an empty one"
            )
        # While connections stay open, the write-ahead log of the former file remains, and could be
        # taken for that of the new one.
        self._replaced = True
        self._close_idle()
        raise self._unavailable(
            "it was replaced while the service was running: restart the service to use the new "
            "file (flask --app entry restore needs no restart)"
        )

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Create the schema of a new file; check or upgrade that of an existing one."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if not version and not self._create:
            raise self._unavailable("it is not an employee database")
        (journal_mode,) = database.execute("PRAGMA journal_mode").fetchone()
        if journal_mode != "wal":
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            (journal_mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal_mode != "wal":
            raise self._unavailable("its file system has no shared memory for a write-ahead log")
        if version in (1, 2):  # these releases did not overwrite what they deleted
            database.execute("VACUUM")
        database.execute("BEGIN IMMEDIATE")
        for statement in _statements(MIGRATIONS.get(version, "")):
            database.execute(statement)
        if version <= SCHEMA_VERSION:
            for added, script in (
                ("unindexed", ADDITIONS),
                ("employees_by_second", SECOND),
                ("qualities", QUALITIES),
            ):
                if not _has(database, added):
                    for statement in _statements(script):
                        database.execute(statement)
            database.execute(sessions.TABLE)
        database.execute("COMMIT")
        _wipe_log(database)
        if version > SCHEMA_VERSION:
            raise self._unavailable(
                f"a newer release wrote it (schema version {version}; this release supports "
                f"{SCHEMA_VERSION}): run that release"
            )

    def _borrow(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode=rw",  # do not create a file that was deleted
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # threads take turns
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # overwrite deleted content
        return connection

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"the SQLite file {self._path} (SQLITE_PATH) is unusable: {reason}")


def _has(database: sqlite3.Connection, name: str) -> bool:
    """Return whether there is a table, an index or a column of employees of this name."""
    found = database.execute(
        "SELECT 1 FROM sqlite_master WHERE name = :name "
        "UNION SELECT 1 FROM pragma_table_info('employees') WHERE name = :name",
        {"name": name},
    )
    return found.fetchone() is not None


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; unlike `executescript`, this does not commit first."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _inode(path: Path) -> tuple[int, int] | None:
    """Return device and inode, which identify a file; None if there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time prepare the file; SQLite would fail at once if two did."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _wipe_log(database: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the file and truncate it, unless readers keep it in use."""
    reason: object = "it is being read"
    try:
        database.execute(f"PRAGMA busy_timeout = {1000 * _WIPE_TIMEOUT_S:.0f}")
        try:
            busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            database.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_S:.0f}")
    except sqlite3.Error as error:  # the removal itself has succeeded
        busy, reason = True, error
    if busy:
        log.warning("removed data is still in the write-ahead log", reason=str(reason))
