"""`flask --app entry vectors …`: feature vectors as they are stored."""

from contextlib import closing

import click
from flask.cli import AppGroup
from tqdm import tqdm

from app.commands.working_on import existing_store, settings_of_command
from app.settings import SettingsError
from app.storage import StoreUnavailable, UnknownSeal

vectors = AppGroup("vectors", help="Stored feature vectors.")


@vectors.command("rotate", with_appcontext=False)
def vectors_rotate() -> None:
    """Encrypt stored vectors with the first of VECTOR_KEYS, while the service runs.

    What is done is done: where it was interrupted, run it again and it goes on.
    """
    try:
        settings = settings_of_command()
        if not settings.vector_keys:
            raise SettingsError(
                "VECTOR_KEYS is not set: its first entry is what vectors are to be encrypted with"
            )
        with (
            closing(existing_store(settings)) as store,
            tqdm(unit=" employees", mininterval=1) as progress,
        ):
            for done, total in store.seal_anew():
                progress.total = total
                progress.update(done - progress.n)
    except (SettingsError, StoreUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    click.echo("All vectors are stored as the first entry of VECTOR_KEYS says.")
