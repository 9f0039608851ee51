"""The commands backup and restore, in this process."""

from pathlib import Path

from click.testing import Result

from app.commands import create_command_app


def command(name: str, file: Path, path: Path, **variables: str) -> Result:
    """The finished command, in this process."""
    settings = {"SQLITE_PATH": str(path), "MONGO_DB_URL": "", "VECTOR_KEYS": ""} | variables
    runner = create_command_app().test_cli_runner()
    return runner.invoke(args=[name, str(file)], env=settings)


def done(name: str, file: Path, path: Path, **variables: str) -> str:
    """What the command said; it must have succeeded."""
    ran = command(name, file, path, **variables)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def refused(name: str, file: Path, path: Path, **variables: str) -> str:
    """Why the command changed nothing."""
    ran = command(name, file, path, **variables)
    assert isinstance(ran.exception, SystemExit)
    assert ran.exit_code == 1
    return ran.stderr
