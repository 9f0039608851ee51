"""`flask --app entry models …`: face models, their weights, and the change from one to another."""

import click
from flask.cli import AppGroup

from app.bootstrap import make_catalogue
from app.commands.common import command_settings
from app.commands.model_migration import list_models, migrate
from app.settings import SettingsError
from models.catalogue import ModelUnavailable

models = AppGroup("models", help="Face models: list, fetch, change from one to another.")
models.add_command(list_models)
models.add_command(migrate)


@models.command("fetch", with_appcontext=False)
@click.argument("names", nargs=-1, type=click.Choice(["vggface2", "dlib"]))
def models_fetch(names: tuple[str, ...]) -> None:
    """Make sure that the weights of these models are in MODELS_DIR, or in a package.

    Weights that are missing are downloaded. The exit code is 1 if some cannot be had.
    """
    try:
        catalogue = make_catalogue(command_settings())
        for name in names:
            catalogue.get(name).network()
            click.echo(f"{name}: its weights are here")
    except (SettingsError, ModelUnavailable) as error:
        raise click.ClickException(str(error)) from None
