"""The first steps of every command on stored employees: load the settings, open the store."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from app import log
from app.audit import AuditLog
from app.bootstrap import make_audit_log, open_store
from app.settings import Settings, doubtful, load_settings
from app.storage import EmployeeStore


def command_settings() -> Settings:
    """Return the settings of this environment, and print warnings. Raises SettingsError.

    Log lines go to standard error, because standard output holds what the command reports.
    """
    settings = load_settings()
    log.configure(settings.log_level, settings.log_format, sys.stderr)
    for sentence in doubtful():
        click.echo(f"Warning: {sentence}", err=True)
    return settings


def patient(settings: Settings) -> Settings:
    """Return the settings with a longer timeout of MongoDB, for which no login waits."""
    return settings.model_copy(update={"mongo_db_timeout_s": 60.0})


def command_audit(settings: Settings) -> AuditLog:
    """Open the audit log for what a command does to employees. Raises AuditUnavailable."""
    return make_audit_log(settings, lambda *told: None)


def file_error(error: OSError, file: Path | None = None) -> click.ClickException:
    """Return the error that says which file cannot be used, and why.

    file: the one to name if the error names none.
    """
    return click.ClickException(f"{error.filename or file}: {error.strerror or error}")


def printable(columns: Iterable[str]) -> str:
    """Return a row of a table; what cannot be printed becomes a blank."""
    return "\t".join(
        "".join(character if character.isprintable() else " " for character in text)
        for text in columns
    )


def open_existing_store(settings: Settings) -> EmployeeStore:
    """Open the store without creating one, and print its address and number of employees.

    Raises SettingsError, StoreUnavailable.
    """
    store = open_store(settings, create=False)
    try:
        click.echo(f"{store.address}: {store.count()} employees", err=True)
    except BaseException:
        store.close()
        raise
    return store
