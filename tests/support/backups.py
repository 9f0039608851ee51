"""The commands backup and restore."""

from pathlib import Path

from tests.support.commands import Done, run


def command(name: str, file: Path, path: Path, **variables: str) -> Done:
    """The finished command."""
    return run(name, str(file), SQLITE_PATH=str(path), **variables)


def done(name: str, file: Path, path: Path, **variables: str) -> str:
    """What the command said; it must have succeeded."""
    ran = command(name, file, path, **variables)
    assert ran.returncode == 0, ran.output
    return ran.stdout


def refused(name: str, file: Path, path: Path, **variables: str) -> str:
    """Why the command changed nothing."""
    ran = command(name, file, path, **variables)
    assert ran.returncode == 1
    return ran.stderr
