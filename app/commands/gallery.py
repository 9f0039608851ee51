"""`flask --app entry gallery …`: the index beside the store."""

import time
from collections.abc import Iterator

import click
import structlog
from flask.cli import AppGroup
from tqdm import tqdm

from app import log as log_lines
from app.bootstrap import make_gallery
from app.commands.working_on import existing_store, settings_of_command
from app.gallery import IndexUnavailable, repair
from app.gallery.shared_gallery import SharedGallery
from app.storage import StoreUnavailable

log = structlog.get_logger()

_LOG_EVERY_S = 5.0
_EXAMPLES = 10
_PATIENT = {"milvus_timeout_s": 60.0, "mongo_db_timeout_s": 60.0}
_NOTHING_KEPT = (
    "GALLERY_INDEX is memory: every process reads its index from the store, nothing can differ."
)


class _Failed(click.ClickException):
    """It could not be finished; 1 would say that something differs."""

    exit_code = 2


gallery = AppGroup("gallery", help="Compare the index with the store, and put it right.")


@gallery.command(with_appcontext=False)
def check() -> None:
    """Say how the index differs from the store; exit with 1 if it does."""
    shared = _shared()
    differs = _report(shared, repair.check(shared), "checking the gallery")
    raise SystemExit(1 if differs else 0)


@gallery.command(with_appcontext=False)
@click.option(
    "--after",
    type=int,
    default=repair.FIRST_ID,
    help="Go on after this employee id, as the progress of an earlier run says it.",
)
def rebuild(after: int) -> None:
    """Make the index what the store says. It can be stopped and run again at any time."""
    shared = _shared()
    _report(shared, repair.rebuild(shared, after), "rebuilding the gallery")
    if after != repair.FIRST_ID and not shared.index.is_complete():
        click.echo("Nobody uses the index before it was rebuilt from the start: without --after.")


def _shared() -> SharedGallery:
    try:
        settings = settings_of_command().model_copy(update=_PATIENT)
        log_lines.configure(settings.log_level, settings.log_format)
        found = make_gallery(settings, existing_store(settings))
    except Exception as error:  # a model that cannot be had, a store that is away
        raise _Failed(str(error)) from error
    if not isinstance(found, SharedGallery):
        click.echo(_NOTHING_KEPT)
        raise SystemExit(0)
    return found


def _report(shared: SharedGallery, steps: Iterator[repair.Step], what: str) -> bool:
    """Go through the steps, and say how many rows of each kind they found; whether any."""
    totals = {"missing": 0, "wrong": 0, "garbage": 0}
    employees, ids, began = 0, list[int](), time.monotonic()
    try:
        for step in _shown(steps, what, shared.store.count()):
            employees += step.employees
            ids += step.drift.employees()[: _EXAMPLES - len(ids)]
            for kind, count in step.drift.counts().items():
                totals[kind] += count
    except (StoreUnavailable, IndexUnavailable) as error:
        raise _Failed(str(error)) from error
    found = ", ".join(f"{count} {kind}" for kind, count in totals.items())
    click.echo(f"{employees} employees in {time.monotonic() - began:.1f} s; rows: {found}.")
    if ids:
        click.echo(f"Employees concerned: {', '.join(map(str, ids))}{', …' * (len(ids) > 9)}")
    return any(totals.values())


def _shown(steps: Iterator[repair.Step], what: str, total: int) -> Iterator[repair.Step]:
    """The same steps; shows a bar on a terminal, elsewhere a log line every few seconds."""
    next_line, done = time.monotonic(), 0
    with tqdm(desc=what, total=total, unit=" employees", disable=None) as bar:
        for step in steps:
            yield step
            done += step.employees
            bar.update(step.employees)
            bar.set_postfix(after=step.last)
            if bar.disable and time.monotonic() >= next_line:
                next_line = time.monotonic() + _LOG_EVERY_S
                log.info(what, employees=done, of=total, after=step.last)
