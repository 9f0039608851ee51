"""What every command on stored employees begins with: the settings, and the store that is there."""

import click

from app.bootstrap import open_store
from app.settings import Settings, doubtful, load_settings
from app.storage import EmployeeStore


def settings_of_command() -> Settings:
    """The settings of this environment; says what is odd about them. Raises SettingsError."""
    settings = load_settings()
    for sentence in doubtful():
        click.echo(f"Warning: {sentence}", err=True)
    return settings


def existing_store(settings: Settings) -> EmployeeStore:
    """The store of these settings, which no command makes; says which it is, and how many it holds.

    Raises SettingsError, StoreUnavailable.
    """
    store = open_store(settings, create=False)
    try:
        click.echo(f"{store.address}: {store.count()} employees", err=True)
    except BaseException:
        store.close()
        raise
    return store
