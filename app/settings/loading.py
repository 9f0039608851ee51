"""Read the settings from the environment, and report everything that is wrong with it at once."""

import os
import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.sentences import what_is_wrong
from app.settings import spelling
from app.settings.fields import SECURITY
from app.settings.rules import Settings

_MAY_HOLD_SECRETS = re.compile("PASSWORD|TOKEN|KEYS|URL|URI|ENDPOINT")  # in the name of a setting


class SettingsError(Exception):
    """The service cannot run with this environment; the message names the variables."""


def load_settings() -> Settings:
    """Return the settings of this environment.

    Raise SettingsError naming every bad variable, and every misspelt one that security depends on.
    """
    lines = [sentence for sentence, is_fatal in _misspelt() if is_fatal]
    try:
        settings = Settings()
    except ValidationError as error:
        lines += filter(None, map(_sentence, error.errors(include_url=False)))
    if lines:
        raise SettingsError("\n".join(lines)) from None
    return settings


def doubtful() -> list[str]:
    """Return a sentence for each variable that resembles a setting and does not stop the start."""
    return [sentence for sentence, is_fatal in _misspelt() if not is_fatal]


def _sentence(problem: ErrorDetails) -> str | None:
    if problem["type"] == "default_factory_not_called":  # only because another value is bad
        return None
    name = str(problem["loc"][0]).upper() if problem["loc"] else ""
    wrong = what_is_wrong(problem)
    if not name:
        return wrong
    given = "" if _MAY_HOLD_SECRETS.search(name) else f", not {problem['input']!r}"
    return f"{name}: {wrong}{given}"


def _misspelt() -> Iterator[tuple[str, bool]]:
    """Yield a sentence, without the value, for each misspelt name, and whether it is fatal."""
    known = [name.upper() for name in Settings.model_fields]
    filled = {name: name.upper() for name, value in os.environ.items() if value.strip()}
    for name in filled:
        if meant := spelling.nearest(name, known):
            shown = name if name.isprintable() else ascii(name)
            is_fatal = meant.lower() in SECURITY and meant not in filled.values()
            yield f"{shown} is not a setting: did you mean {meant}? Rename or unset it", is_fatal
