"""Steps that every request takes: request id, limits and API key, reading the body, log line."""

import re
import time
from urllib.parse import quote
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from app.api.access import Access
from app.api.errors import Problem
from app.server import REFUSAL

log = structlog.get_logger()

_MAX_LOGGED_PATH = 100  # characters; clients choose the path
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def register(app: Flask, access: Access) -> None:
    """Give every request an id (X-Request-ID if it is sane), check access to it, and log it."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        access.identify()
        if refusal := request.environ.get(REFUSAL):
            raise Problem(refusal.status, refusal.code, refusal.sentence, refusal.retry_after_s)
        access.authorise()
        _receive()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        elapsed = (time.perf_counter() - g.began) * 1000
        is_routine = request.path in ("/healthz", "/readyz") and response.status_code == 200
        (log.debug if is_routine else log.info)(
            "request",
            method=request.method,
            path=quote(request.path)[:_MAX_LOGGED_PATH],
            status=response.status_code,
            ms=round(elapsed, 1),
        )
        return response


def _receive() -> None:
    """Read the whole body, then close the input stream to free its memory.

    The body may be large, and the request may take long. Raises RequestEntityTooLarge.
    """
    g.received = request.get_data(cache=False)
    # PEP 3333 does not require `close`.
    if close := getattr(request.environ["wsgi.input"], "close", None):
        close()


def text(body: str) -> Response:
    """Return a plain-text response."""
    return Response(body, mimetype="text/plain")
