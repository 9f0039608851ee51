"""The file of a backup, whatever the store."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app import private_files

Progress = Callable[[int, int], None]
"""Called with the amount that is done and the total."""


class BackupRefused(Exception):
    """The backup cannot be made or restored. Nothing was changed; the message says why."""


@contextmanager
def refuse_on_error(path: Path, kind: type[Exception] = OSError) -> Iterator[None]:
    """Raise errors of the file system, and of this kind, as BackupRefused, naming the file."""
    try:
        yield
    except (kind, OSError) as error:
        raise BackupRefused(f"{path}: {error}") from error


@contextmanager
def new_backup(backup: Path) -> Iterator[Path]:
    """Yield a path for the block to write to, which then becomes the new file `backup`.

    If the block fails, there is no file. Only the owner can read it. Raises BackupRefused if the
    file exists, and OSError.
    """
    if backup.exists():
        raise BackupRefused(f"{backup} exists already: name a new file")
    part = backup.with_name(f".{backup.name}.part")
    part.unlink(missing_ok=True)  # left from an interrupted backup
    try:
        private_files.make_file(part)
        yield part
        _sync(part)
        if not private_files.make_file(backup):  # another backup was faster
            raise BackupRefused(f"{backup} exists already: name a new file")
        part.replace(backup)
    finally:
        part.unlink(missing_ok=True)
    _sync(backup.parent)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
