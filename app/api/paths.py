"""Each thing has one address, written in one way: a proxy in front may decide by addresses."""

from flask import Flask, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

_LONGEST = len(str(2**63 - 1)) + 1  # digits; what has more is not read, and too large already


class EmployeeId(BaseConverter):
    """`<id:…>`: decimal digits without leading zeros, however large."""

    regex = "(?:0|[1-9][0-9]*)"

    def to_python(self, value: str) -> int:
        """What has more digits than an id is a number larger than any id."""
        return int(value[:_LONGEST])


def register(app: Flask) -> None:
    """Call before there are routes. Nothing is redirected, escaped, or has a slash too many."""
    app.url_map.converters["id"] = EmployeeId
    app.url_map.merge_slashes = False

    @app.before_request
    def as_it_was_sent() -> None:
        sent, _, _ = request.environ.get("RAW_URI", request.path).partition("?")
        if sent != request.path:  # which is without escapes, and without slashes before its first
            raise NotFound
