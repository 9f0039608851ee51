"""`flask --app entry employees …`: list employees."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

import click
from flask.cli import AppGroup

from app.bootstrap import make_catalogue
from app.commands.common import command_settings, open_existing_store
from app.settings import SettingsError
from app.storage import Outline, StoreUnavailable
from models.catalogue import ModelUnavailable
from models.choice import chosen_name

employees = AppGroup("employees", help="List employees.")


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
                if outline.model is None or outline.model != model:
                    listed += 1
                    click.echo(json.dumps(asdict(outline)) if as_json else _line(outline))
    except (SettingsError, StoreUnavailable, ModelUnavailable) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{store.address}, model {model}: {listed} of {total} employees must enrol again.", err=True
    )


def _line(outline: Outline) -> str:
    return "\t".join(
        "".join(character if character.isprintable() else " " for character in text)
        for text in _columns(outline)
    )


def _columns(outline: Outline) -> Iterator[str]:
    yield from (outline.employee_id, outline.name, outline.surname)
    yield outline.model or "cannot be read"
