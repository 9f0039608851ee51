"""What every request goes through: an id, a line in the log, a body that is checked."""

import math
import re
import time
from typing import TypeVar
from urllib.parse import quote
from uuid import uuid4

import structlog
from flask import Flask, Response, current_app, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.access import Access
from app.api.errors import Problem
from app.sentences import what_is_wrong

log = structlog.get_logger()

Body = TypeVar("Body", bound=BaseModel)

_LONGEST_PATH = 100  # is logged: who knows what somebody puts there
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def register(app: Flask, access: Access) -> None:
    """Give every request an id, taken from X-Request-ID where it is sane, let it in, and log it."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        access.let_in()
        _receive()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        elapsed = (time.perf_counter() - g.began) * 1000
        is_probe = request.path in ("/healthz", "/readyz")
        (log.debug if is_probe else log.info)(
            "request",
            method=request.method,
            path=quote(request.path)[:_LONGEST_PATH],
            status=response.status_code,
            ms=round(elapsed, 1),
        )
        return response


def _receive() -> None:
    """Wait for the whole body: whoever sends slowly must hold nothing but a thread.

    Raises RequestEntityTooLarge.
    """
    body = request.get_data()
    # a body of unknown length is cut off at the limit without a word
    if request.content_length is None and len(body) >= (request.max_content_length or math.inf):
        raise RequestEntityTooLarge


def read_body(schema: type[Body]) -> Body:
    """The request's JSON body, checked. Raises Problem 400 or 415, which names the field."""
    if not request.is_json:
        raise Problem(415, "not_json", "send JSON, with Content-Type: application/json")
    try:
        limits = {"max_vectors": current_app.config["MAX_VECTORS_PER_EMPLOYEE"]}
        return schema.model_validate_json(request.get_data(), context=limits)
    except ValidationError as error:
        raise Problem(400, "bad_request", _sentence(error)) from None


def text(body: str) -> Response:
    """A plain-text answer."""
    return Response(body, mimetype="text/plain")


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong: which field, and what about it."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    what = what_is_wrong(first)
    if field:
        return f"{field}: {what}"
    return what if first["type"] == "value_error" else f"the body {what}"
