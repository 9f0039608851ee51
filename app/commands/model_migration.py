"""`flask --app entry models list` and `models migrate`: from one face model to another."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime

import click
from tqdm import tqdm

from app.audit import AuditUnavailable
from app.bootstrap import make_catalogue, policy, second_model
from app.commands.common import command_audit, command_settings, open_existing_store, printable
from app.gallery.telling_apart import compared
from app.settings import Settings, SettingsError
from app.storage import (
    Employee,
    EmployeeChanged,
    EmployeeStore,
    NoSuchEmployee,
    Outline,
    StoreUnavailable,
    new_enrolment_id,
)
from models.catalogue import FaceModel, ModelUnavailable
from models.choice import choose_model

_UNREADABLE = "cannot be read"
_OF_CATALOGUE = ("dlib", "vggface2")


@dataclass(frozen=True, slots=True)
class _Change:
    """From the model that runs to a second one. until: the last day on which logins enrol."""

    running: str
    second: FaceModel
    until: date | None

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
            return "log in"
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
                second.update([outline.second_model] if outline.second_model else [])
            running = choose_model(settings.face_model, store.models(), catalogue, fetch=False)
            other = second_model(settings.second_face_model, catalogue, running)
        uses = {running.name: "runs"} | ({other.name: "second"} if other else {})
        own = [name for name in (catalogue.own_name, catalogue.onnx_name) if name]
        for name in dict.fromkeys([*_OF_CATALOGUE, *own, *first, *second]):
            try:
                numbers = str(catalogue.get(name).dimension)
                missing = name == "vggface2" != catalogue.own_name and not catalogue.has_vggface2()
                weights = "to be fetched" if missing else "here"
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

    Columns: id, name, surname, what to do. With --finish, when the other model runs and
    SECOND_FACE_MODEL is unset, delete the vectors of other models of those who need them no more.
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


def _change(settings: Settings, store: EmployeeStore) -> _Change:
    catalogue = make_catalogue(settings)
    running = choose_model(settings.face_model, store.models(), catalogue, fetch=False)
    other = second_model(settings.second_face_model, catalogue, running)
    if other is None:
        raise SettingsError("SECOND_FACE_MODEL is not set: it names the model to change to")
    return _Change(running.name, other, settings.second_model_until)


def _list_left(change: _Change, store: EmployeeStore, as_json: bool) -> None:
    total, left = 0, Counter[bool]()
    for outline in _outlines(store):
        total += 1
        if (to_do := change.to_do(outline)) is None:
            continue
        left[to_do == "log in"] += 1
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
    catalogue = make_catalogue(settings)
    name = choose_model(settings.face_model, store.models(), catalogue, fetch=False).name
    counts = Counter(_state(outline, name) for outline in _outlines(store))
    click.echo(
        f"{name} runs. {counts['both']} employees are enrolled under another model, too, whose "
        f"vectors are deleted. {counts['only']} are enrolled under {name} alone. {counts['other']} "
        f"are not enrolled under {name}: they stay as they are, and must enrol again.",
        err=True,
    )
    if not yes:
        click.confirm("Delete the vectors of other models?", abort=True)
    with command_audit(settings).entry("migrate_finish", model=name) as facts:
        facts["employees"] = 0
        for employee in tqdm(
            store.read_all(), total=store.count(), unit=" employees", disable=None
        ):
            facts["employees"] += _keep_only(name, employee, store)
    click.echo(f"Deleted vectors of other models of {facts['employees']} employees.")


def _state(outline: Outline, model: str) -> str:
    if model not in (outline.model, outline.second_model):
        return "other"
    return "both" if outline.second_model else "only"


def _keep_only(model: str, employee: Employee | None, store: EmployeeStore) -> bool:
    """Delete the second reference, but keep its hashes, which tell copies of enrolled photos."""
    while employee and (seen := employee.under(model)) and (second := seen.second):
        kept = replace(
            seen,
            second=None,
            photo_hashes=seen.photo_hashes + second.photo_hashes,
            enrolment_id=new_enrolment_id(),
        )
        try:
            store.update(kept, employee.enrolment_id)
            return True
        except (EmployeeChanged, NoSuchEmployee):
            employee = next(iter(store.get([employee.employee_id])), None)
    return False


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
