"""`flask --app entry export FILE` and `import FILE`: employees as lines of JSON, for any store."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Never

import click
from tqdm import tqdm

from app.bootstrap import CANNOT_START, make_catalogue, open_store
from app.commands.common import (
    command_audit,
    command_settings,
    file_error,
    open_existing_store,
    patient,
)
from app.settings import Settings
from app.storage import EmployeeStore
from app.storage.backup_files import BackupRefused, new_backup
from app.storage.sealed_files import SealedFileError, open_to_read, read_key, write
from app.usecases.transfer import Existing, Outcome, Transfer
from app.usecases.transfer_lines import TransferRefused, check, read
from models.catalogue import FaceModel
from models.choice import choose_model

_FILE = click.argument("file", type=click.Path(path_type=Path))
_KEY_FILE = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="A file with the key that FILE is encrypted with: 32 bytes in base64.",
)
EXISTING: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--existing",
    type=click.Choice([each.value for each in Existing]),
    default=Existing.FAIL.value,
    show_default=True,
    help="What to do with people whose id is stored with another enrolment.",
)


@click.command("export")
@_FILE
@_KEY_FILE
def export_command(file: Path, key_file: Path | None) -> None:
    """Write all employees to a new FILE, from which any store can be filled.

    It holds feature vectors, so encrypt it with --key-file.
    """
    with _errors_explained(file):
        settings = patient(command_settings())
        key = read_key(key_file) if key_file else None
        with closing(open_existing_store(settings)) as store:
            store.check_seals()
            transfer = Transfer(store, _model(settings, store), command_audit(settings))
            with new_backup(file) as part, part.open("wb") as to, _bar(store.count()) as bar:
                count = -2  # for the first line and the last

                def counted() -> Iterator[bytes]:
                    nonlocal count
                    for line in transfer.export():
                        yield line
                        count += 1
                        bar.update(count > 0)

                write(to, counted(), key)
    click.echo(f"{count} employees of {store.address} are in {file}.")


@click.command("import")
@_FILE
@EXISTING
@_KEY_FILE
def import_command(file: Path, existing: str, key_file: Path | None) -> None:
    """Import the employees of FILE, beside those that are stored.

    FILE is read twice: nothing is imported unless it is whole and unchanged. A JSON object for each
    employee goes to standard output. If this is interrupted, run it again and it continues.
    """
    with _errors_explained(file):
        settings = patient(command_settings())
        key = read_key(key_file) if key_file else None
        with closing(open_store(settings)) as store:
            store.check_seals()
            model = _model(settings, store)
            with open_to_read(file, key) as first:
                checked = check(read(first), model)
            transfer, counts = Transfer(store, model, command_audit(settings)), Counter[Outcome]()
            with open_to_read(file, key) as second, _bar(checked.employees) as bar:
                for result in transfer.load(read(second), checked, Existing(existing)):
                    counts[result.result] += 1
                    bar.update()
                    click.echo(json.dumps(result.members(), ensure_ascii=False))
    summary = ", ".join(f"{outcome}: {counts[outcome]}" for outcome in Outcome)
    click.echo(f"{store.address} — {summary}", err=True)
    if counts[Outcome.REFUSED]:
        raise click.exceptions.Exit(1)


def _model(settings: Settings, store: EmployeeStore) -> FaceModel:
    catalogue = make_catalogue(settings)
    return choose_model(settings.face_model, store.models(), catalogue, fetch=False)


@contextmanager
def _errors_explained(file: Path) -> Iterator[None]:
    try:
        yield
    except TransferRefused as error:
        raise click.ClickException(f"{file}: {error}. Nothing was imported.") from None
    except (BackupRefused, SealedFileError, *CANNOT_START) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise file_error(error, file) from None


def _bar(total: int) -> "tqdm[Never]":
    return tqdm(total=total, unit=" employees", mininterval=1, disable=None)
