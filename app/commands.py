"""What hangs under `flask --app entry`: commands for whoever runs the service."""

from contextlib import closing
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup
from tqdm import tqdm

from app.access import Role
from app.access.keys import KeysError, new_key
from app.audit.chain import verify
from app.settings import SettingsError, load_settings
from app.storage import StoreUnavailable, UnknownSeal
from app.storage.opening import open_store


def create_command_app() -> Flask:
    """An app that has these commands and answers nothing."""
    app = Flask(__name__, static_folder=None)
    app.cli.add_command(keys)
    app.cli.add_command(audit)
    app.cli.add_command(vectors)
    return app


_ROLE = click.Choice([role.value for role in Role])

keys = AppGroup("keys", help="API keys.")
audit = AppGroup("audit", help="The audit log.")
vectors = AppGroup("vectors", help="Stored feature vectors.")


@keys.command("new", with_appcontext=False)
@click.option("--role", "roles", required=True, multiple=True, type=_ROLE)
@click.option("--id", "key_id", help="Its name in logs; made up where there is none.")
def keys_new(roles: tuple[Role, ...], key_id: str | None) -> None:
    """Make an API key. It is shown once and kept nowhere."""
    try:
        key, line = new_key(map(Role, roles), key_id)
    except KeysError as error:
        raise click.BadParameter(str(error), param_hint="--id") from None
    click.echo("The key, for whoever is to call. Nobody can show it again:", err=True)
    click.echo(key)
    click.echo("The line for API_KEYS, or for the file of API_KEYS_FILE:", err=True)
    click.echo(line)


@audit.command("verify", with_appcontext=False)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--kept", help="The hash of a line, kept elsewhere, that must still be there.")
def audit_verify(files: tuple[Path, ...], kept: str | None) -> None:
    """Check the audit log in FILES, the oldest first: has it been tampered with?"""
    try:
        verdict = verify(files, kept)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for finding in verdict.findings:
        click.echo(finding, err=True)
    click.echo(f"{verdict.lines} lines, the last one has the hash {verdict.last}")
    if verdict.findings:
        raise click.ClickException(f"{len(verdict.findings)} places are not as they were written")
    if kept is None:
        click.echo("Keep that hash elsewhere: --kept then finds out if the end is cut off.")


@vectors.command("rotate", with_appcontext=False)
def vectors_rotate() -> None:
    """Encrypt stored vectors with the first of VECTOR_KEYS, while the service runs.

    What is done is done: where it was interrupted, run it again and it goes on.
    """
    try:
        store = open_store(load_settings())
        with closing(store), tqdm(unit=" employees", mininterval=1) as progress:
            for done, total in store.seal_anew():
                progress.total = total
                progress.update(done - progress.n)
            store.check_seals()
    except (SettingsError, StoreUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    click.echo("All vectors are stored as the first entry of VECTOR_KEYS says.")
