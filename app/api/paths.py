"""Accept each path in one spelling only, because a proxy in front may decide access by path."""

from flask import Flask, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

from app.api.schemas import MAX_ID

V2 = "/api/v2"
"""Under this path, all errors are JSON, and bodies may be forms."""

DOCS = "/docs"
"""Where the description is, as a page."""

CONSOLE = "/console"
"""Under this path is the console."""

_MAX_DIGITS = len(str(MAX_ID)) + 1  # a number cut off here is still larger than any id


class EmployeeId(BaseConverter):
    """`<id:…>`: decimal digits without leading zeros, of any length."""

    regex = "(?:0|[1-9][0-9]*)"

    def to_python(self, value: str) -> int:
        """Return the number. A longer one is cut off, so that parsing it takes no time."""
        return int(value[:_MAX_DIGITS])


def is_v2(path: str) -> bool:
    """Return whether a path lies under `/api/v2`."""
    return path == V2 or path.startswith(f"{V2}/")


def register(app: Flask) -> None:
    """Refuse escapes and doubled slashes, and redirect nothing. Call before adding routes."""
    app.url_map.converters["id"] = EmployeeId
    app.url_map.merge_slashes = False

    @app.before_request
    def refuse_other_spellings() -> None:
        sent, _, _ = request.environ.get("RAW_URI", request.path).partition("?")
        if sent != request.path:  # request.path is unescaped, and starts with a single slash
            raise NotFound
