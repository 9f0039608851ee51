"""What every request goes through: an id, keys and limits, its body, a line in the log."""

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
        access.called()
        if refusal := request.environ.get(REFUSAL):
            raise Problem(refusal.status, refusal.code, refusal.sentence, refusal.retry_after_s)
        access.let_in()
        _receive()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        elapsed = (time.perf_counter() - g.began) * 1000
        is_no_news = request.path in ("/healthz", "/readyz") and response.status_code == 200
        (log.debug if is_no_news else log.info)(
            "request",
            method=request.method,
            path=quote(request.path)[:_LONGEST_PATH],
            status=response.status_code,
            ms=round(elapsed, 1),
        )
        return response


def _receive() -> None:
    """Take the whole body, and give up what it came in: it may be large, and work may take long.

    Raises RequestEntityTooLarge.
    """
    g.received = request.get_data(cache=False)
    if close := getattr(request.environ["wsgi.input"], "close", None):  # servers need not have it
        close()


def text(body: str) -> Response:
    """A plain-text answer."""
    return Response(body, mimetype="text/plain")
