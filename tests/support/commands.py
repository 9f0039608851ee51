"""Commands of `flask --app entry`, run in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from app.commands import create_command_app
from app.settings import Settings
from testbed.serving import environment


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. output: both streams, as a terminal shows them."""

    returncode: int
    stdout: str
    stderr: str
    output: str


def run(*words: str, **variables: str) -> Done:
    """Run a command with these settings, and defaults for all others."""
    unset = dict.fromkeys(name.upper() for name in Settings.model_fields)
    with _logging_restored():
        runner = create_command_app().test_cli_runner()
        result = runner.invoke(args=words, env=unset | environment(**variables))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr, result.output)


@contextmanager
def _logging_restored() -> Iterator[None]:
    """Undo a command's logging set-up, whose stream ends with the command."""
    root = logging.getLogger()
    configured, handlers, level = structlog.get_config(), root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.configure(**configured)
        root.handlers[:] = handlers
        root.setLevel(level)
