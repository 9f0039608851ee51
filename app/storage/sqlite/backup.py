"""Backups of the SQLite file, made and restored while services use it."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app import private_files
from app.storage.sealing import VectorKeys
from app.storage.sqlite.file import BUSY_TIMEOUT_S, SqliteFile
from app.storage.sqlite.schema import SCHEMA_VERSION
from app.storage.sqlite.store import SqliteStore

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

_PAGES = 256  # copied at a time
_EMPLOYEES = 1_024  # restored at a time
_NOBODY = -1
_SCRATCH, _SURELY_OVER_S = ".restore-", 3600.0


class BackupRefused(Exception):
    """The backup cannot be made or restored, and nothing was changed; the message says why."""


def back_up(path: Path, backup: Path, progress: Progress) -> int:
    """Copy the SQLite file of a store, as it is at this moment, into the new file `backup`.

    Others may read and write meanwhile. Returns how many employees it holds.
    progress: told pages. Raises BackupRefused.
    """
    with _refusing(backup):
        _check_store(path)
        if backup.exists():
            raise BackupRefused(f"{backup} exists already: name a new file")
        part = backup.with_name(f".{backup.name}.part")
        part.unlink(missing_ok=True)  # of a backup that was interrupted
        try:
            employees = _copy(path, "mode=rw", part, progress)
            _sync(part)
            if not private_files.make_file(backup):  # somebody was faster
                raise BackupRefused(f"{backup} exists already: name a new file")
            part.replace(backup)
        finally:
            part.unlink(missing_ok=True)
        _sync(backup.parent)
    return employees


def restore(path: Path, backup: Path, keys: VectorKeys, progress: Progress) -> int:
    """Replace all that the SQLite file of a store holds with what is in a backup.

    Others may read and write meanwhile: they see all of it or nothing, and read everything anew.
    What was enrolled since the backup is gone. Photos that logged somebody in since then stay used.
    Returns how many employees were restored. progress: told employees. Raises BackupRefused, also
    if nobody is in the backup; UnknownSeal, also if `keys` are not those of the store;
    StoreUnavailable.
    """
    _check_store(path)
    _check_seals(path, keys)  # with other keys the services could not read what is restored
    for left in path.parent.glob(f"{_SCRATCH}*"):  # copies of everybody, if a restore died
        if time.time() - left.stat().st_mtime > _SURELY_OVER_S:
            shutil.rmtree(left, ignore_errors=True)
    with _refusing(path), TemporaryDirectory(dir=path.parent, prefix=_SCRATCH) as folder:
        copy = Path(folder) / "copy.db"
        with _refusing(backup):
            if not backup.is_file():
                raise BackupRefused(f"there is no file {backup}")
            # as it lies on other media, where nothing can be written
            logged = backup.with_name(f"{backup.name}-wal").exists()
            how = "mode=ro" if logged else "mode=ro&immutable=1"
            employees = _copy(backup, how, copy, lambda *_: None)
        if not employees:
            raise BackupRefused(f"{backup} holds nobody: nothing was changed")
        _check_seals(copy, keys)  # it has this release's layout then
        with closing(SqliteFile(path)) as file:
            _replace_all(file, copy, employees, progress)
            file.wipe_log()
    return employees


def _sync(path: Path) -> None:
    """Let a file, or the names in a folder, be on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_seals(path: Path, keys: VectorKeys) -> None:
    with closing(SqliteStore(path, keys)) as store:
        store.check_seals()


def _check_store(path: Path) -> None:
    if not path.is_file():
        raise BackupRefused(
            f"there is no file {path} (SQLITE_PATH): correct the setting, or start the service "
            "once, which makes it"
        )


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What goes wrong with a file as BackupRefused."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise BackupRefused(f"{path}: {error}") from error


def _copy(path: Path, how: str, copy: Path, progress: Progress) -> int:
    """Copy a whole database, as it is at this moment, into a new file, and check that it is sound.

    how: the parameters of SQLite's URI. Returns how many employees it holds. Raises BackupRefused,
    sqlite3.Error, OSError.
    """
    private_files.make_file(copy)
    with _opened(path, how) as source, _opened(copy, "mode=rw") as target:
        source.execute("BEGIN")  # keeps its view: no write makes the copying begin anew
        try:
            source.execute("SELECT 1 FROM employees LIMIT 1").fetchone()
            (version,) = source.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupRefused(f"{path} is no file of employees: {error}") from error
        if not 1 <= version <= SCHEMA_VERSION:
            raise BackupRefused(
                f"{path} has the schema version {version}, this release knows 1 to {SCHEMA_VERSION}"
            )
        source.backup(
            target, pages=_PAGES, progress=lambda _, left, total: progress(total - left, total)
        )
        target.execute("PRAGMA journal_mode = DELETE")  # one file that needs no others
        (sound,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise BackupRefused(f"{path} is damaged: {sound}")
        (employees,) = target.execute("SELECT count(*) FROM employees").fetchone()
    return int(employees)


@contextmanager
def _opened(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?{how}"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    ) as connection:
        yield connection


def _replace_all(file: SqliteFile, copy: Path, employees: int, progress: Progress) -> None:
    with file.connection() as database:
        database.execute("ATTACH ? AS copy", (str(copy.absolute()),))
        try:
            database.execute("BEGIN IMMEDIATE")
            _keep_used_probes(database)
            _restore_employees(database, employees, progress)
            _forget_changes(database)
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.execute("DETACH copy")


def _keep_used_probes(database: sqlite3.Connection) -> None:
    """Those that were used with an enrolment that is restored, before the backup or since."""
    database.execute(
        "DELETE FROM used_probes WHERE employee_id NOT IN (SELECT employee_id FROM "
        "main.employees JOIN copy.employees USING (employee_id, enrolment_id))"
    )
    columns = _columns(database, "used_probes")
    database.execute(
        f"INSERT INTO main.used_probes ({columns}) SELECT {columns} FROM "  # noqa: S608
        f"copy.used_probes EXCEPT SELECT {columns} FROM main.used_probes ORDER BY until"
    )


def _restore_employees(database: sqlite3.Connection, employees: int, progress: Progress) -> None:
    database.execute("DELETE FROM main.employees")
    columns, done = _columns(database, "employees"), 0
    while done < employees:
        done += database.execute(
            f"INSERT INTO main.employees ({columns}) SELECT {columns} FROM "  # noqa: S608
            "copy.employees WHERE employee_id > (SELECT ifnull(max(employee_id), -1 << 63) FROM "
            "main.employees) ORDER BY employee_id LIMIT ?",
            (_EMPLOYEES,),
        ).rowcount
        progress(done, employees)


def _forget_changes(database: sqlite3.Connection) -> None:
    """Skip a number: no reader's position fits then, so each reads everything anew."""
    (newest,) = database.execute(
        "SELECT ifnull(max(seq), 0) FROM main.sqlite_sequence WHERE name = 'changes'"
    ).fetchone()
    database.execute("DELETE FROM main.changes")
    database.execute(
        "INSERT INTO main.changes (number, employee_id) VALUES (?, ?)", (newest + 2, _NOBODY)
    )


def _columns(database: sqlite3.Connection, table: str) -> str:
    """The names of a table's columns: files of older releases have them in another order."""
    names = database.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return ", ".join(name for (name,) in names)
