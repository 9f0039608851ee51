"""`flask --app entry models list` and `models migrate`: from one face model to another."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

import click
from tqdm import tqdm

from app.audit import AuditUnavailable
from app.bootstrap import make_catalogue, policy
from app.commands.common import command_audit, command_settings, open_existing_store, printable
from app.gallery.telling_apart import compared
from app.settings import Settings, SettingsError
from app.storage import EmployeeStore, Outline, StoreUnavailable
from app.usecases.migration import keep_only
from models.catalogue import Catalogue, FaceModel, ModelUnavailable
from models.choice import choose_model, choose_second

_UNREADABLE = "cannot be read"


@dataclass(frozen=True, slots=True)
class _Change:
    """From the model that runs to a second one. until: the last day on which logins enrol."""

    running: str
    second: FaceModel
    until: date | None
    log_in: str  # what those must do who are enrolled under the running model only

    @property
    def days(self) -> int | None:
        """How many days are left; None if there is no end."""
        return None if self.until is None else (self.until - datetime.now(UTC).date()).days + 1

    def to_do(self, outline: Outline) -> str | None:
        """Return what makes a person known to both models; None if they are."""
        models = {outline.model, outline.second_model}
        if {self.running, self.second.name} <= models:
            return None
        if self.running in models and (self.days is None or self.days > 0):
            return self.log_in
        if outline.model is None:
            return f"enrol again, their record {_UNREADABLE}"
        return f"enrol again, known to {outline.model}"


@click.command("list")
def list_models() -> None:
    """List the face models: name, use, numbers in a vector, weights, people, second references.

    Nothing is downloaded. The last two columns say how many people are enrolled under the model,
    and how many more while a company changes to it.
    """
    with _failing():
        settings = command_settings()
        catalogue = make_catalogue(settings)
        with closing(open_existing_store(settings)) as store:
            first, second = Counter[str](), Counter[str]()
            for outline in _outlines(store):
                first[outline.model or _UNREADABLE] += 1
                if outline.second_model:
                    second[outline.second_model] += 1
            running, other = _models(settings, store, catalogue)
        uses = {running.name: "runs"} | ({other.name: "second"} if other else {})
        for name in dict.fromkeys([*catalogue.names(), *first, *second]):
            try:
                numbers = str(catalogue.get(name).dimension)
                weights = "here" if catalogue.has_weights(name) else "to be fetched"
            except ModelUnavailable:
                numbers, weights = "", "" if name == _UNREADABLE else "unknown here"
            row = name, uses.get(name, ""), numbers, weights, str(first[name]), str(second[name])
            click.echo(printable(row))


@click.command("migrate")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
@click.option("--finish", is_flag=True, help="Keep only the vectors of the model that runs.")
@click.option("--yes", is_flag=True, help="Do not ask before that.")
def migrate(as_json: bool, finish: bool, yes: bool) -> None:
    """List the people who are not enrolled under SECOND_FACE_MODEL yet, and what they must do.

    Columns: id, name, surname, what to do. With --finish: delete all vectors except those of
    FACE_MODEL, of everybody enrolled under it. Unset SECOND_FACE_MODEL first.
    """
    with _failing():
        settings = command_settings()
        with closing(open_existing_store(settings)) as store:
            if finish:
                _finish(settings, store, yes)
            else:
                change = _change(settings, store)
                _list_left(change, store, as_json)
                pairs = compared(store.read_all(), change.second, policy(settings).highest)
                click.echo(f"{pairs.sentence(change.second.name)}.", err=True)
                if pairs.are_too_near:
                    click.echo("It does not tell them apart: do not change to it.", err=True)


def _models(
    settings: Settings, store: EmployeeStore, catalogue: Catalogue
) -> tuple[FaceModel, FaceModel | None]:
    """Return the model that runs, and the second one. Raises ModelUnavailable."""
    running = choose_model(settings.face_model, store.models(), catalogue, fetch=False)
    return running, choose_second(settings.second_face_model, running, catalogue)


def _change(settings: Settings, store: EmployeeStore) -> _Change:
    running, other = _models(settings, store, make_catalogue(settings))
    if other is None:
        raise SettingsError("SECOND_FACE_MODEL is not set: it names the model to change to")
    log_in = "log in"
    if settings.second_model_needs_checks:
        log_in = "log in with a liveness check or fraud detection"
    return _Change(running.name, other, settings.second_model_until, log_in)


def _list_left(change: _Change, store: EmployeeStore, as_json: bool) -> None:
    total, left = 0, Counter[bool]()
    for outline in _outlines(store):
        total += 1
        if (to_do := change.to_do(outline)) is None:
            continue
        left[to_do == change.log_in] += 1
        row = outline.employee_id, outline.name, outline.surname, to_do
        click.echo(json.dumps(asdict(outline) | {"to_do": to_do}) if as_json else printable(row))
    done = total - left.total()
    click.echo(
        f"{done} of {total} employees are enrolled under {change.running} and "
        f"{change.second.name}. "
        f"Left: {left[True]} who will be when they log in, {left[False]} who must enrol again.",
        err=True,
    )
    if change.days is not None:
        state = f"{change.days} days left" if change.days > 0 else "over"
        click.echo(f"SECOND_MODEL_UNTIL is {change.until}: {state}.", err=True)


def _finish(settings: Settings, store: EmployeeStore, yes: bool) -> None:
    if settings.second_face_model:
        raise SettingsError(
            "SECOND_FACE_MODEL is set: unset it and restart the service, which would go on to "
            "enrol people under it"
        )
    if settings.face_model == "auto":
        raise SettingsError("FACE_MODEL is auto: set it to the model whose vectors are kept")
    name = _models(settings, store, make_catalogue(settings))[0].name
    others, missing = Counter[str](), 0
    for outline in _outlines(store):
        if name not in (outline.model, outline.second_model):
            missing += 1
        elif outline.second_model:
            others[outline.second_model if outline.model == name else outline.model or ""] += 1
    if missing:
        click.echo(
            f"Not enrolled under {name}: {missing}. They keep their vectors, and must enrol again.",
            err=True,
        )
    deleted = " and ".join(f"those of {other} ({count})" for other, count in others.items())
    if not deleted:
        click.echo("There is nothing to delete.", err=True)
        return
    if not yes:
        click.confirm(f"Keep the vectors of {name}, and delete {deleted}?", abort=True)
    with (
        command_audit(settings).entry("migrate_finish", model=name) as facts,
        tqdm(total=store.count(), unit=" employees", disable=None) as bar,
    ):
        facts["employees"] = 0
        for had_others in keep_only(store, name):
            facts["employees"] += had_others
            bar.update()
    click.echo(f"Deleted vectors of other models: {facts['employees']} employees.")


def _outlines(store: EmployeeStore) -> Iterator[Outline]:
    with tqdm(
        store.outlines(), total=store.count(), unit=" employees", disable=None, leave=False
    ) as bar:
        yield from bar


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (SettingsError, StoreUnavailable, ModelUnavailable, AuditUnavailable) as error:
        raise click.ClickException(str(error)) from None
