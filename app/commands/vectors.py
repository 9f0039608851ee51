"""`flask --app entry vectors …`: encrypt stored feature vectors."""

from contextlib import closing

import click
from flask.cli import AppGroup
from tqdm import tqdm

from app.commands.common import command_settings, open_existing_store
from app.settings import SettingsError
from app.storage import StoreUnavailable, UnknownSeal

vectors = AppGroup("vectors", help="Encrypt stored feature vectors.")


@vectors.command("rotate", with_appcontext=False)
def vectors_rotate() -> None:
    """Encrypt stored vectors with the first of VECTOR_KEYS, while the service runs.

    If this is interrupted, run it again and it continues.
    """
    try:
        settings = command_settings()
        if not settings.vector_keys:
            raise SettingsError(
                "VECTOR_KEYS is not set: its first entry is the key to encrypt vectors with"
            )
        with (
            closing(open_existing_store(settings)) as store,
            tqdm(unit=" employees", mininterval=1) as progress,
        ):
            for done, total in store.reseal():
                progress.total = total
                progress.update(done - progress.n)
    except (SettingsError, StoreUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    click.echo("All vectors now use the first entry of VECTOR_KEYS.")
