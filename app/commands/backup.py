"""`flask --app entry backup FILE` and `restore FILE`: copy the SQLite file while it is in use."""

from collections.abc import Callable
from pathlib import Path

import click
from tqdm import tqdm

from app.bootstrap import vector_keys
from app.commands.common import command_settings
from app.settings import Settings, SettingsError
from app.storage import StoreUnavailable, UnknownSeal
from app.storage.sqlite.backup import BackupRefused, Progress, back_up, restore

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command("backup")
@_FILE
def backup(file: Path) -> None:
    """Copy all employees, as they are now, to a new FILE."""

    def run(settings: Settings, progress: Progress) -> str:
        employees = back_up(settings.sqlite_path, file, progress)
        return f"{_employees(employees)} of sqlite:{settings.sqlite_path} are in {file}."

    _run(run, " pages")


@click.command("restore")
@_FILE
def restore_command(file: Path) -> None:
    """Replace all employees with those in the backup FILE. Later enrolments are lost."""

    def run(settings: Settings, progress: Progress) -> str:
        path = settings.sqlite_path
        employees = restore(path, file, vector_keys(settings), progress)
        report = f"sqlite:{path} now holds the {_employees(employees)} of {file}, and nobody else."
        if settings.gallery_index == "milvus":
            report += "\nMilvus does not hold them yet: run flask --app entry gallery rebuild"
        return report

    _run(run, " employees")


def _employees(count: int) -> str:
    return "1 employee" if count == 1 else f"{count} employees"


def _run(command: Callable[[Settings, Progress], str], unit: str) -> None:
    """Run a command on the SQLite file with a progress bar, and print its report."""
    try:
        settings = command_settings()
        if settings.mongo_db_url:
            raise click.ClickException(
                "employees live in MongoDB (MONGO_DB_URL): use mongodump and mongorestore, as "
                "docs/operations.md shows"
            )
        with tqdm(unit=unit, mininterval=1, disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = command(settings, progress)
    except (SettingsError, BackupRefused, StoreUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    click.echo(report)
