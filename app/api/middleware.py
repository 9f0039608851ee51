"""Steps that every request takes: ids, limits and API key, body, metrics, and the log line."""

import re
import time
from urllib.parse import quote
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from app import stages, traces
from app.api.access import Access
from app.api.errors import Problem
from app.api.overload import OverloadLog
from app.metrics import Metrics
from app.server import REFUSAL
from app.trace_export import Answered, TraceExport

log = structlog.get_logger()

_MAX_LOGGED_PATH = 100  # characters; clients choose the path
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OVERLOADED = "overloaded"  # the code of requests that are summed up in the log
_PROBES = ("/healthz", "/readyz", "/metrics")


def register(app: Flask, access: Access, metrics: Metrics, export: TraceExport | None) -> None:
    """Give every request an id (X-Request-ID if it is sane), check access, and count and log it.

    export: takes the traces of requests; None if nobody wants them.
    """
    overload = OverloadLog()

    @app.before_request
    def begin() -> None:
        metrics.request_began()
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        given = request.headers.get("traceparent", "")
        if trace := traces.begin(given, may_be_new=export is not None):
            structlog.contextvars.bind_contextvars(trace_id=trace.trace_id)
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
        response.headers.setdefault("Cache-Control", "no-store")
        ended, passed = time.perf_counter(), stages.passed()
        elapsed, spent = ended - g.began, stages.spent(passed)
        status, code = response.status_code, g.get("code")
        endpoint = (request.endpoint or "").rpartition(".")[2]
        is_probe = request.path in _PROBES
        metrics.answered(endpoint, status, code, elapsed, {} if is_probe else spent)
        overload.note(refused=code == _OVERLOADED)
        say = log.warning if status >= 500 else log.info
        if code == _OVERLOADED or (is_probe and status == 200):
            say = log.debug
        say(
            "request",
            method=request.method,
            path=quote(request.path)[:_MAX_LOGGED_PATH],
            status=status,
            ms=_ms(elapsed),
            **{f"{stage}_ms": _ms(seconds) for stage, seconds in spent.items()},
        )
        if export and not is_probe and (trace := traces.current()):
            route = request.url_rule.rule if request.url_rule else None
            export.add(Answered(trace, request.method, route, status, code, ended, elapsed, passed))
        return response

    @app.teardown_request
    def release(error: BaseException | None) -> None:
        metrics.request_ended()


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
