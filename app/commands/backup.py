"""`flask --app entry backup FILE` and `restore FILE`: copy all employees while they are in use."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
from tqdm import tqdm

from app.bootstrap import vector_keys
from app.commands.common import command_settings
from app.settings import Settings, SettingsError
from app.storage import StoreUnavailable, UnknownSeal
from app.storage.backup_files import BackupRefused, Progress
from app.storage.mongodb import backup as mongodb
from app.storage.mongodb.store import MongoStore
from app.storage.sqlite import backup as sqlite

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command("backup")
@_FILE
def backup(file: Path) -> None:
    """Copy all employees, as they are now, to a new FILE."""

    def run(settings: Settings, progress: Progress) -> str:
        if settings.mongo_db_url:
            employees = mongodb.back_up(settings, file, progress)
        else:
            employees = sqlite.back_up(settings.sqlite_path, file, progress)
        return f"{_employees(employees)} of {_address(settings)} are in {file}."

    _run(run)


@click.command("restore")
@_FILE
def restore_command(file: Path) -> None:
    """Replace all employees with those in the backup FILE. Later enrolments are lost."""

    def run(settings: Settings, progress: Progress) -> str:
        keys = vector_keys(settings)
        if settings.mongo_db_url:
            employees = mongodb.restore(settings, keys, file, progress)
        else:
            employees = sqlite.restore(settings.sqlite_path, file, keys, progress)
        report = (
            f"{_address(settings)} now holds the {_employees(employees)} of {file}, and nobody "
            "else."
        )
        if settings.gallery_index == "milvus":
            report += "\nMilvus does not hold them yet: run flask --app entry gallery rebuild"
        return report

    _run(run)


def _employees(count: int) -> str:
    return "1 employee" if count == 1 else f"{count} employees"


def _address(settings: Settings) -> str:
    if not settings.mongo_db_url:
        return f"sqlite:{settings.sqlite_path}"
    with closing(MongoStore(settings)) as store:
        return store.address


def _run(command: Callable[[Settings, Progress], str]) -> None:
    """Run a command with a progress bar, and print its report."""
    try:
        settings = command_settings()
        with tqdm(mininterval=1, disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = command(settings, progress)
    except (SettingsError, BackupRefused, StoreUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    click.echo(report)
