"""`flask --app entry gallery …`: compare the shared index with the store, and repair it."""

import time
from collections.abc import Iterator

import click
import structlog
from flask.cli import AppGroup
from tqdm import tqdm

from app.bootstrap import make_gallery
from app.commands.common import command_settings, open_existing_store
from app.gallery import IndexUnavailable, index_repair
from app.gallery.shared_gallery import SharedGallery
from app.storage import StoreUnavailable

log = structlog.get_logger()

_LOG_EVERY_S = 5.0
_EXAMPLES = 10  # employees that a report names
_LONG_TIMEOUTS = {"milvus_timeout_s": 60.0, "mongo_db_timeout_s": 60.0}  # no login waits for these
_NO_SHARED_INDEX = (
    "GALLERY_INDEX is memory: each process builds its index from the store, so nothing can differ."
)


class _Failed(click.ClickException):
    """The command could not finish. Exit status 1 would mean that something differs."""

    exit_code = 2


gallery = AppGroup("gallery", help="Compare the index with the store, and repair it.")


@gallery.command(with_appcontext=False)
def check() -> None:
    """Report how the index differs from the store; exit with status 1 if it does."""
    shared = _shared_gallery()
    differs = _report(shared, index_repair.check(shared), "checking the gallery")
    raise SystemExit(1 if differs else 0)


@gallery.command(with_appcontext=False)
@click.option(
    "--after",
    type=int,
    default=index_repair.FIRST_ID,
    help="Continue after this employee id, which the progress of an earlier run shows.",
)
def rebuild(after: int) -> None:
    """Make the index match the store. It can be stopped and run again at any time."""
    shared = _shared_gallery()
    _report(shared, index_repair.rebuild(shared, after), "rebuilding the gallery")
    if after != index_repair.FIRST_ID and not shared.index.is_complete():
        click.echo("The index is not used until it is rebuilt from the start, without --after.")


def _shared_gallery() -> SharedGallery:
    try:
        settings = command_settings().model_copy(update=_LONG_TIMEOUTS)
        found = make_gallery(settings, open_existing_store(settings))
    except Exception as error:  # for example, the model or the store is unavailable
        raise _Failed(str(error)) from error
    if not isinstance(found, SharedGallery):
        click.echo(_NO_SHARED_INDEX)
        raise SystemExit(0)
    return found


def _report(shared: SharedGallery, steps: Iterator[index_repair.Step], title: str) -> bool:
    """Run the steps, and print how many entries of each kind they found. Return whether any."""
    totals = {"missing": 0, "wrong": 0, "garbage": 0}
    employees, ids, began = 0, list[int](), time.monotonic()
    try:
        for step in _with_progress(steps, title, shared.store.count()):
            employees += step.employees
            ids += step.drift.employees()[: _EXAMPLES - len(ids)]
            for kind, count in step.drift.counts().items():
                totals[kind] += count
    except (StoreUnavailable, IndexUnavailable) as error:
        raise _Failed(str(error)) from error
    found = ", ".join(f"{count} {kind}" for kind, count in totals.items())
    click.echo(f"{employees} employees in {time.monotonic() - began:.1f} s; entries: {found}.")
    if ids:
        click.echo(f"Employees concerned: {', '.join(map(str, ids))}{', …' * (len(ids) > 9)}")
    return any(totals.values())


def _with_progress(
    steps: Iterator[index_repair.Step], title: str, total: int
) -> Iterator[index_repair.Step]:
    """Yield the steps, with a progress bar on a terminal, else a log line every few seconds."""
    next_line, done = time.monotonic(), 0
    with tqdm(desc=title, total=total, unit=" employees", disable=None) as bar:
        for step in steps:
            yield step
            done += step.employees
            bar.update(step.employees)
            bar.set_postfix(after=step.last)
            if bar.disable and time.monotonic() >= next_line:
                next_line = time.monotonic() + _LOG_EVERY_S
                log.info(title, employees=done, of=total, after=step.last)
