"""The version of the service, which pyproject.toml states."""

import tomllib
from pathlib import Path

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def version() -> str:
    """Return the version, for example 0.1.0."""
    with _PROJECT.open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
