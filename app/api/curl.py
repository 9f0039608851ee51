"""Examples of calls, as commands of curl."""

import json
from collections.abc import Iterator
from shlex import quote

from app.api.components import Json

_ADDRESS = "$SERVICE"  # whatever proxy is before it, its readers know
_PHOTO = "..."  # how an example of a body spells a photo
_FILES = ("me.jpg", "other.png")


def command(method: str, path: str, operation: Json) -> str:
    """Return a command that makes a call of the OpenAPI document."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            example = parameter["schema"]["examples"][0]
            path = path.replace(f"{{{parameter['name']}}}", str(example))
    words = ["curl", f"{_ADDRESS}{path}"]
    content = operation.get("requestBody", {}).get("content", {})
    if method.upper() != ("POST" if content else "GET"):
        words += ["-X", method.upper()]
    if operation["security"]:
        words += ["-H", '"X-API-Key: $KEY"']
    example = content.get("application/json", {}).get("example", {})
    if "multipart/form-data" in content and _PHOTO in json.dumps(example):
        words += [word for name, value in example.items() for word in _parts(name, value)]
    elif content:
        body = quote(json.dumps(example))
        words += ["-H", quote("Content-Type: application/json"), "-d", body]
    return " ".join(words)


def _parts(name: str, value: object) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    for number, each in enumerate(values):
        if each == _PHOTO:
            each = f"@{_FILES[number % len(_FILES)]}"
        yield from ("-F", quote(f"{name}={each if isinstance(each, str) else json.dumps(each)}"))
