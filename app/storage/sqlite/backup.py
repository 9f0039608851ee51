"""Back up and restore the SQLite file while services use it."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from app import private_files
from app.storage.backup_files import BackupRefused, Progress, new_backup, refuse_on_error
from app.storage.sealing import VectorKeys
from app.storage.sqlite import changes
from app.storage.sqlite.file import BUSY_TIMEOUT_S, SqliteFile
from app.storage.sqlite.schema import SCHEMA_VERSION
from app.storage.sqlite.store import SqliteStore

_PAGES_PER_STEP = 256  # copied between two reports of progress
_EMPLOYEES_PER_STEP = 1_024  # restored between two reports of progress
_SCRATCH_PREFIX = ".restore-"
_SCRATCH_STALE_S = 3600.0  # no restore takes this long, so an older folder is left from a crash


def back_up(path: Path, backup: Path, progress: Progress) -> int:
    """Copy the SQLite file of a store, as it is at this moment, into the new file `backup`.

    Others may read and write meanwhile. Returns the number of employees in the backup.
    Raises BackupRefused.

    progress: reports pages.
    """
    _check_store(path)
    with refuse_on_error(backup, sqlite3.Error), new_backup(backup) as part:
        return _copy(path, "mode=rw", part, progress)


def restore(path: Path, backup: Path, keys: VectorKeys, progress: Progress) -> int:
    """Replace everything in the SQLite file of a store with the content of a backup.

    Others may read and write meanwhile: they see all of the restore or nothing, and then read the
    whole store again. Enrolments made since the backup are lost. Photos used for logins since then
    stay used. Returns the number of employees restored. Raises BackupRefused, also if the backup
    is empty; UnknownSeal, also if `keys` do not open the store; StoreUnavailable.

    progress: reports employees.
    """
    _check_store(path)
    _check_seals(path, keys)  # the services could not read records sealed with other keys
    _remove_stale_copies(path.parent)
    with (
        refuse_on_error(path, sqlite3.Error),
        TemporaryDirectory(dir=path.parent, prefix=_SCRATCH_PREFIX) as folder,
    ):
        copy = Path(folder) / "copy.db"
        private_files.make_file(copy)
        with refuse_on_error(backup, sqlite3.Error):
            if not backup.is_file():
                raise BackupRefused(f"there is no file {backup}")
            # `immutable` lets SQLite read from a medium that cannot be written, but ignores a
            # write-ahead log.
            logged = backup.with_name(f"{backup.name}-wal").exists()
            options = "mode=ro" if logged else "mode=ro&immutable=1"
            employees = _copy(backup, options, copy, lambda *_: None)
        if not employees:
            raise BackupRefused(f"{backup} holds no employees: nothing was changed")
        _check_seals(copy, keys)  # opening the copy upgrades it to this release's schema
        with closing(SqliteFile(path)) as file:
            _replace_all(file, copy, employees, progress)
            file.wipe_log()
        with closing(SqliteStore(path, keys)) as store:
            store.prepare_search()  # so that no request has to
    return employees


def _remove_stale_copies(folder: Path) -> None:
    """Remove the copies of the whole store that crashed restores left behind."""
    for left in folder.glob(f"{_SCRATCH_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _SCRATCH_STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _check_seals(path: Path, keys: VectorKeys) -> None:
    with closing(SqliteStore(path, keys)) as store:
        store.check_seals()


def _check_store(path: Path) -> None:
    if not path.is_file():
        raise BackupRefused(
            f"there is no file {path} (SQLITE_PATH): correct the setting, or start the service "
            "once, which creates it"
        )


def _copy(path: Path, options: str, copy: Path, progress: Progress) -> int:
    """Copy a whole database, as it is at this moment, into an empty file; check that it is sound.

    Returns the number of employees in it. Raises BackupRefused, sqlite3.Error, OSError.

    options: the parameters of SQLite's URI for the source.
    """
    with _connection(path, options) as source, _connection(copy, "mode=rw") as target:
        source.execute("BEGIN")  # without this snapshot, each write would restart the copying
        try:
            source.execute("SELECT 1 FROM employees LIMIT 1").fetchone()
            (version,) = source.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupRefused(f"{path} is not an employee database: {error}") from error
        if not 1 <= version <= SCHEMA_VERSION:
            raise BackupRefused(
                f"{path} has schema version {version}; this release supports 1 to {SCHEMA_VERSION}"
            )
        source.backup(
            target,
            pages=_PAGES_PER_STEP,
            progress=lambda _, left, total: progress(total - left, total),
        )
        target.execute("PRAGMA journal_mode = DELETE")  # so that the copy is a single file
        (sound,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise BackupRefused(f"{path} is damaged: {sound}")
        (employees,) = target.execute("SELECT count(*) FROM employees").fetchone()
    return int(employees)


def _connection(path: Path, options: str) -> closing[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?{options}"
    return closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None))


def _replace_all(file: SqliteFile, copy: Path, employees: int, progress: Progress) -> None:
    with file.connection() as database:
        database.execute("ATTACH ? AS copy", (str(copy.absolute()),))
        try:
            database.execute("BEGIN IMMEDIATE")
            _keep_used_probes(database)
            _restore_employees(database, employees, progress)
            changes.forget_all(database)
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.execute("DETACH copy")


def _keep_used_probes(database: sqlite3.Connection) -> None:
    """Keep the used probes of everybody who is restored, from before the backup and since."""
    database.execute(
        "DELETE FROM used_probes WHERE employee_id NOT IN (SELECT employee_id FROM copy.employees)"
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
            (_EMPLOYEES_PER_STEP,),
        ).rowcount
        progress(done, employees)


def _columns(database: sqlite3.Connection, table: str) -> str:
    """Return the column names of a table; files of older releases have them in another order."""
    names = database.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return ", ".join(name for (name,) in names)
