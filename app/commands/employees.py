"""`flask --app entry employees …`: list, show, rename and remove employees."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict

import click
from flask.cli import AppGroup
from pydantic import TypeAdapter, ValidationError

from app.bootstrap import CANNOT_START, make_catalogue, make_service
from app.commands.common import command_audit, command_settings, open_existing_store, printable
from app.people_fields import MAX_ID, MaybeName, Name
from app.sentences import what_is_wrong
from app.settings import SettingsError
from app.storage import (
    Employee,
    NoSuchEmployee,
    Outline,
    StoreUnavailable,
    new_enrolment_id,
)
from app.usecases.employees import Employees
from app.usecases.transfer_lines import described
from models.catalogue import ModelUnavailable
from models.choice import chosen_name

employees = AppGroup("employees", help="List, show, rename and remove employees.")

_PAGE = 500  # people read at once
_ID = click.argument("employee_id", type=click.IntRange(-(2**63), MAX_ID))
_NAME, _SURNAME = TypeAdapter[str](Name), TypeAdapter[str](MaybeName)


@employees.command("list", with_appcontext=False)
@click.option("--name", default="", help="Words that begin words of the name.")
@click.option("--group", help="Only people of this group.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
def list_employees(name: str, group: str | None, as_json: bool) -> None:
    """List employees: id, name, surname, groups, number of samples."""
    groups = frozenset([group]) if group else None
    with _use_case() as people:
        after, is_last = None, False
        while not is_last:
            listed = people.find(_PAGE, after, name=name, groups=groups)
            for each in listed.employees:
                click.echo(_shown(each) if as_json else printable(_row(each)))
                after = each.employee_id
            is_last = listed.is_last


@employees.command("show", with_appcontext=False)
@_ID
def show(employee_id: int) -> None:
    """Print what is stored of an employee as JSON, without vectors."""
    with _use_case() as people:
        click.echo(_shown(people.show(employee_id)))


@employees.command("rename", with_appcontext=False)
@_ID
@click.argument("name")
@click.argument("surname", default="")
def rename(employee_id: int, name: str, surname: str) -> None:
    """Change an employee's name and surname."""
    try:
        changes = {"name": _NAME.validate_python(name)}
        changes["surname"] = _SURNAME.validate_python(surname)
    except ValidationError as error:
        what = what_is_wrong(error.errors(include_url=False)[0])
        raise click.ClickException(f"the name {what}") from None
    with _use_case() as people:
        people.change(employee_id, changes, new_enrolment_id())


@employees.command("remove", with_appcontext=False)
@_ID
@click.confirmation_option(prompt="Remove everything that is stored of this employee?")
def remove(employee_id: int) -> None:
    """Remove everything that is stored of an employee."""
    with _use_case() as people:
        people.remove(employee_id)


@contextmanager
def _use_case() -> Iterator[Employees]:
    try:
        settings = command_settings()
        service = make_service(settings, create_store=False)
        try:
            yield Employees(service, command_audit(settings))
        finally:
            service.stop()
    except (NoSuchEmployee, *CANNOT_START) as error:
        raise click.ClickException(str(error)) from None


@employees.command("to-enrol-again", with_appcontext=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
def to_enrol_again(as_json: bool) -> None:
    """List the employees who must enrol again before they can log in.

    Their vectors cannot be read, or were computed by another model than FACE_MODEL says. With
    FACE_MODEL=auto, that is the model of the stored vectors. Nothing is changed or downloaded.
    """
    try:
        settings = command_settings()
        with closing(open_existing_store(settings)) as store:
            catalogue = make_catalogue(settings)
            model = chosen_name(settings.face_model, store.models(), catalogue)
            total, listed = 0, 0
            for outline in store.outlines():
                total += 1
                if outline.model is None or model not in (outline.model, outline.second_model):
                    listed += 1
                    click.echo(json.dumps(asdict(outline)) if as_json else _line(outline))
    except (SettingsError, StoreUnavailable, ModelUnavailable) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{store.address}, model {model}: {listed} of {total} employees must enrol again.", err=True
    )


def _shown(employee: Employee) -> str:
    samples = [
        {"sample_id": name, "enrolled_at": sample.enrolled_at}
        for name, sample in employee.named_samples()
    ]
    return json.dumps(described(employee) | {"samples": samples}, ensure_ascii=False)


def _row(employee: Employee) -> Iterator[str]:
    yield from (str(employee.employee_id), employee.name, employee.surname)
    yield ",".join(employee.profile.groups)
    yield str(len(employee.vectors))


def _line(outline: Outline) -> str:
    return printable(_columns(outline))


def _columns(outline: Outline) -> Iterator[str]:
    yield from (outline.employee_id, outline.name, outline.surname)
    yield outline.model or "cannot be read"
