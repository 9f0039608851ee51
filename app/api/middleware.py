"""Steps that every request takes: ids, limits and API key, body, metrics, and the log line."""

import re
import time
from urllib.parse import quote
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from app import stages
from app.api.access import Access
from app.api.errors import Problem
from app.api.overload import OverloadLog
from app.metrics import Metrics
from app.server import REFUSAL

log = structlog.get_logger()

_MAX_LOGGED_PATH = 100  # characters; clients choose the path
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# https://www.w3.org/TR/trace-context: version, trace id, id of the caller's span, flags
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_TRACEPARENT_LENGTH = 55  # characters; later versions may append to it
_OVERLOADED = "overloaded"  # the code of requests that are summed up in the log
_PROBES = ("/healthz", "/readyz", "/metrics")


def register(app: Flask, access: Access, metrics: Metrics) -> None:
    """Give every request an id (X-Request-ID if it is sane), check access, and count and log it."""
    overload = OverloadLog()

    @app.before_request
    def begin() -> None:
        metrics.request_began()
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        if trace_id := _trace_id():
            structlog.contextvars.bind_contextvars(trace_id=trace_id)
        stages.begin()
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
        elapsed, spent = time.perf_counter() - g.began, stages.spent()
        status, code = response.status_code, g.get("code")
        endpoint = (request.endpoint or "").rpartition(".")[2]
        metrics.answered(endpoint, status, code, elapsed, spent)
        overload.note(refused=code == _OVERLOADED)
        say = log.warning if status >= 500 else log.info
        if code == _OVERLOADED or (request.path in _PROBES and status == 200):
            say = log.debug
        say(
            "request",
            method=request.method,
            path=quote(request.path)[:_MAX_LOGGED_PATH],
            status=status,
            ms=_ms(elapsed),
            **{f"{stage}_ms": _ms(seconds) for stage, seconds in spent.items()},
        )
        return response

    @app.teardown_request
    def release(error: BaseException | None) -> None:
        metrics.request_ended()


def _trace_id() -> str | None:
    """Return the trace that the request belongs to, if the caller names one."""
    given = request.headers.get("traceparent", "")[:_TRACEPARENT_LENGTH]
    match = _TRACEPARENT.fullmatch(given)
    return match[1] if match else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


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
