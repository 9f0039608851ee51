"""The version of the service. pyproject.toml takes it from here; no image contains that file."""

VERSION = "0.1.0"
