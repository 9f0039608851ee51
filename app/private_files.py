"""Files that hold what is about people: other users of the machine cannot read them."""

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger()

FOR_OWNER = 0o600
FOR_GROUP = 0o640
_FOLDER = 0o700


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, if they are missing. Raises OSError."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(_FOLDER, exist_ok=True)
    folder.mkdir(_FOLDER, exist_ok=True)  # raises if something else has that name


def make_file(path: Path, mode: int = FOR_OWNER) -> bool:
    """Make an empty file and its folder; False if there is a file already. Raises OSError.

    mode: at most these rights; the umask may take some away.
    """
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    except FileExistsError:
        return False
    return True


def warn_if_others_read(path: Path, setting: str) -> None:
    """Log a warning if every user of the machine may use the file. Raises OSError."""
    status = path.stat()
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXO):
        log.warning(
            f"other users of this machine may use the file of {setting}: run chmod o= on it",
            path=str(path),
            mode=f"{stat.S_IMODE(status.st_mode):o}",
        )
