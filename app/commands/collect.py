"""`flask --app entry collect …`: people and photos of another face service, for `enrol`."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import click
from flask.cli import AppGroup
from tqdm import tqdm

from app import private_files
from app.commands.common import file_error, printable
from app.compreface import AnswerUnusable, CompreFace, CompreFaceError
from app.people_fields import MAX_ID
from app.usecases.collection import Row, known_people, listed, write
from app.usecases.people_files import ListRefused, Unclear

_KEY_VARIABLE = "COMPREFACE_API_KEY"
_FIRST_ID: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--first-id",
    type=click.IntRange(0, MAX_ID),
    default=1,
    show_default=True,
    help="The lowest id for people whose name has none; 17_Grace_Hopper has 17.",
)

collect = AppGroup("collect", help="People and photos of another face service, for `enrol`.")


@collect.command("compreface", with_appcontext=False)
@click.argument("address")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_FIRST_ID
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"A file with the API key of the recognition service; or set {_KEY_VARIABLE}.",
)
def collect_compreface(address: str, folder: Path, first_id: int, key_file: Path | None) -> None:
    """Fetch everybody's photos from the CompreFace at ADDRESS into FOLDER, with a people.csv.

    If this is interrupted, run it again and it continues. People keep their ids as long as
    people.csv is there.
    """
    file = folder / "people.csv"
    with _errors_explained():
        service = CompreFace(address, _key(key_file))
        subjects: defaultdict[str, list[str]] = defaultdict(list)
        left_out = []
        for image_id, subject in service.subjects().items():
            if isinstance(image_id, UUID):
                subjects[subject].append(str(image_id))
            else:
                left_out.append(Unclear(subject, f"the image_id {image_id!r} is not a UUID"))
        rows, unclear = listed(subjects, file, first_id)
        fetched, left_out = [], left_out + unclear
        for row in tqdm(rows, unit=" photos", mininterval=1, disable=None):
            photo = folder / row["photo"]
            try:
                if not photo.exists():
                    private_files.write(photo, service.photo(UUID(row["photo"])))
                fetched.append(row)
            except AnswerUnusable as error:
                left_out.append(Unclear(f"{row['id']} {row['name']} {photo}", str(error)))
        _finish(fetched, left_out, file)


@collect.command("face-recognition", with_appcontext=False)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_FIRST_ID
def collect_face_recognition(folder: Path, file: Path, first_id: int) -> None:
    """List the people of a FOLDER of face_recognition in the CSV file FILE.

    A person is a photo, `Grace Hopper.jpg`, or a folder of photos, `Grace Hopper/`. People keep
    their ids as long as FILE is there.
    """
    with _errors_explained():
        subjects, left_out = known_people(folder, file)
        rows, unclear = listed(subjects, file, first_id)
        _finish(rows, left_out + unclear, file)


def _finish(rows: Sequence[Row], left_out: Sequence[Unclear], file: Path) -> None:
    """Write the file, and say what is in it and what is left out."""
    for each in left_out:
        click.echo(f"Left out: {each.entry!r}: {each.reason}", err=True)
    if not rows:
        raise click.ClickException(f"There is no photo to enrol, so {file} was not written.")
    write(rows, file)
    people = len({row["id"] for row in rows})
    click.echo(f"{people} people and {len(rows)} photos are in {file}. Left out: {len(left_out)}.")
    if left_out:
        raise click.exceptions.Exit(1)


def _key(file: Path | None) -> str:
    """Return the key of CompreFace. Raises CompreFaceError, OSError."""
    key = file.read_text(errors="replace") if file else os.environ.get(_KEY_VARIABLE, "")
    if not re.fullmatch(r"\s*[!-~]+\s*", key):
        raise CompreFaceError(
            f"{file or _KEY_VARIABLE} must hold the API key of the recognition service, and "
            f"nothing else: name a file with it, --key-file, or set {_KEY_VARIABLE}"
        )
    return key.strip()


@contextmanager
def _errors_explained() -> Iterator[None]:
    try:
        yield
    except (CompreFaceError, ListRefused) as error:
        raise click.ClickException(printable([str(error)])) from None
    except OSError as error:
        raise file_error(error) from None
