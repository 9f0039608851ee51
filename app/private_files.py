"""Create files that other users of the machine cannot read, for data about people."""

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger()

FOR_OWNER = 0o600
FOR_GROUP = 0o640
_FOLDER = 0o700


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, for the owner alone. Raises OSError."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(_FOLDER, exist_ok=True)
    folder.mkdir(_FOLDER, exist_ok=True)  # raises FileExistsError if the path is a file


def make_file(path: Path, mode: int = FOR_OWNER) -> bool:
    """Create an empty file and its folder. Return False if the file exists. Raises OSError.

    mode: permission bits, from which the umask may take some away.
    """
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    except FileExistsError:
        return False
    return True


def write(path: Path, content: bytes) -> None:
    """Write a file for the owner alone, whole or not at all, even if the process is killed.

    Another file of that name is replaced. Raises OSError.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # left by a process that was killed
        make_file(part)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def warn_if_others_read(path: Path, setting: str) -> None:
    """Log a warning if other users of the machine may use the file. Raises OSError.

    setting: the environment variable that names the file.
    """
    status = path.stat()
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXO):
        log.warning(
            f"other users of this machine may use the file of {setting}: run chmod o= on it",
            path=str(path),
            mode=f"{stat.S_IMODE(status.st_mode):o}",
        )
