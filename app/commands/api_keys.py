"""`flask --app entry keys …`: make API keys."""

import click
from flask.cli import AppGroup

from app.access import Role
from app.access.api_keys import KeysError, new_key

_ROLE = click.Choice([role.value for role in Role])

keys = AppGroup("keys", help="Make API keys.")


@keys.command("new", with_appcontext=False)
@click.option("--role", "roles", required=True, multiple=True, type=_ROLE)
@click.option("--id", "key_id", help="The key's name in logs; by default a random one.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    help="Bind the key to the people of a group; may be given several times.",
)
def keys_new(roles: tuple[Role, ...], key_id: str | None, groups: tuple[str, ...]) -> None:
    """Make an API key. It is shown once and stored nowhere."""
    try:
        key, line = new_key(map(Role, roles), key_id, groups)
    except KeysError as error:
        raise click.BadParameter(str(error), param_hint="--id, --group") from None
    click.echo("The key, for the client. It cannot be shown again:", err=True)
    click.echo(key)
    click.echo("The line for API_KEYS, or for the file of API_KEYS_FILE:", err=True)
    click.echo(line)
