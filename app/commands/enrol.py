"""`flask --app entry enrol PEOPLE`: enrol many people from files."""

import csv
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import cv2
from tqdm import tqdm

from app import private_files
from app.bootstrap import CANNOT_START, make_service
from app.commands.common import command_audit, command_settings, file_error, patient
from app.commands.transfer import EXISTING
from app.gallery import IndexUnavailable
from app.lifecycle import Service
from app.readiness import NotReady
from app.usecases.bulk_enrolment import BulkEnrolment, Result
from app.usecases.enrolment import Enrolment
from app.usecases.people_files import ListRefused, Unclear, people_of
from app.usecases.transfer import Existing, Outcome

_COLUMNS = ("id", "photo", "code", "reason")
_POLL_S = 0.1


@click.command("enrol")
@click.argument("people", type=click.Path(path_type=Path, exists=True))
@EXISTING
@click.option(
    "--report",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("refused.csv"),
    show_default=True,
    help="Where to write who and which photos were refused, and why.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Examine everything, and store nothing.")
def enrol(people: Path, existing: str, file: Path, dry: bool) -> None:
    """Enrol everybody in PEOPLE: a folder with a folder of photos for each person, or a CSV file.

    Folders are named like 17_Grace_Hopper. A CSV file has the columns id,name,surname,photo,group,
    and a row for each photo. Photos that cannot be used are left out. If this is interrupted, run
    it again and it continues.
    """
    try:
        settings = patient(command_settings())
        listed = list(people_of(people))
        if not listed:
            raise ListRefused(f"{people} holds nobody to enrol")
        cv2.setNumThreads(1)  # photos are processed side by side
        with _running(make_service(settings)) as service:
            enrolment = Enrolment(service, command_audit(settings))
            most = settings.max_vectors_per_employee
            bulk = BulkEnrolment(service, enrolment, Existing(existing), most, dry=dry)
            photos = sum(len(each.photos) for each in listed if not isinstance(each, Unclear))
            report, counts, done = _Report(file), Counter[Outcome](), 0
            bar = tqdm(total=photos, unit=" photos", mininterval=1, disable=None)
            began = time.perf_counter()
            with bar:
                for person, result in zip(listed, bulk.run(listed), strict=True):
                    report.add(result)
                    counts[result.outcome] += 1
                    done += result.examined
                    bar.update(0 if isinstance(person, Unclear) else len(person.photos))
            seconds = time.perf_counter() - began
    except (ListRefused, NotReady, IndexUnavailable, *CANNOT_START) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise file_error(error) from None
    counted = ", ".join(f"{outcome}: {counts[outcome]}" for outcome in Outcome)
    click.echo(f"{'Nothing was stored. ' if dry else ''}People {counted}.")
    click.echo(f"{done} photos examined in {seconds:.1f} s, {done / seconds:.1f} a second.")
    if report.count:
        click.echo(f"Refused photos and people, and why: {report.count}, in {file}.")
        raise click.exceptions.Exit(1)


@contextmanager
def _running(service: Service) -> Iterator[Service]:
    """Start a service and wait until it is loaded; the log says what it waits for."""
    try:
        service.start()
        while not service.is_loaded:
            time.sleep(_POLL_S)
        yield service
    finally:
        service.stop()


class _Report:
    """A CSV file of what was refused, which only its owner can read. Rows are in it at once."""

    def __init__(self, file: Path) -> None:
        """Begin the report anew; refuse to overwrite another file. Raises ListRefused."""
        self._file = file
        self.count = 0
        private_files.make_file(file)
        with file.open("rb") as old:
            if old.readline().strip() not in (b"", ",".join(_COLUMNS).encode()):
                raise ListRefused(f"{file} is another file than a report: name a new one, --report")
        self._write("w", [_COLUMNS])

    def add(self, result: Result) -> None:
        """Add the refusals of an entry."""
        rows = [
            (result.entry, str(each.photo or ""), each.code, each.reason)
            for each in result.refusals
        ]
        self._write("a", rows)
        self.count += len(rows)

    def _write(self, mode: str, rows: Sequence[Sequence[str]]) -> None:
        with self._file.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
