"""Errors as a person reads them: one short plain sentence, or problem+json (RFC 9457)."""

import json
from collections.abc import Mapping

import structlog
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.access.rate_limits import TooManyFailures, TooManyRequests
from app.audit import AuditUnavailable
from app.gallery import GalleryLoading, IndexUnavailable
from app.lifecycle import NotReady
from app.limiter import Overloaded
from app.liveness.client import LivenessUnavailable
from app.recognition import NotAnImage, UnusableImage
from app.recognition.frame_sequence import BadFrame
from app.storage import EmployeeExists, NoSuchEmployee, StoreUnavailable
from app.usecases.enrolment import WrongDimension
from app.usecases.fraud_detection import FraudSuspected
from app.usecases.login import NoMatch, NotAlive

log = structlog.get_logger()

_BACK_AFTER_S = 5  # a part that is away or starting
_ROOM_AFTER_S = 2  # a queue is worked off sooner
_LONGEST_ACCEPT = 1_000  # characters; browsers send 200. The time to parse grows with the square


class Problem(Exception):
    """An answer other than success.

    code: stable, for programs. sentence: one short sentence for a person. retry_after_s: when the
    same request may succeed; None: asking again does not help. headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    def response(self) -> Response:
        """Plain text, or problem+json where the request prefers JSON."""
        if _prefers_json():
            body = {
                "title": self.sentence,
                "status": self.status,
                "code": self.code,
                "request_id": g.request_id,
            }
            response = Response(json.dumps(body), self.status, mimetype="application/problem+json")
        else:
            response = Response(self.sentence, self.status, mimetype="text/plain")
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        response.headers.update(self.headers)
        return response


def register(app: Flask) -> None:
    """Answer every exception with a Problem; no traceback leaves the process."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> Response:
    problem = _problem(error)
    structlog.contextvars.bind_contextvars(code=problem.code, reason=problem.sentence)
    response = problem.response()
    if isinstance(error, HTTPException) and (allow := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allow))
    return response


def with_cause(error: Exception) -> Problem:
    """The answer that tells an operator the cause, with the names of settings in it."""
    problem = _problem(error)
    cause = error.cause if isinstance(error, NotReady) else error
    return Problem(problem.status, problem.code, f"not ready: {cause}", problem.retry_after_s)


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case NoMatch():
            return Problem(406, "no_match", "no matches found")
        case NotAlive():
            return Problem(406, "not_alive", "Liveness check failed")
        case FraudSuspected():
            return Problem(406, "fraud_suspected", f"Fraud check failed: {error}")
        case BadFrame():
            return Problem(400, "bad_frame", f"frames.{error.number}: {error}")
        case NotAnImage():
            return Problem(415, "not_an_image", str(error))
        case UnusableImage():
            return Problem(422, error.code, str(error))
        case WrongDimension():
            return Problem(400, "wrong_dimension", f"img_features: {error}")
        case EmployeeExists():
            return Problem(409, "employee_exists", "that employee id is taken")
        case NoSuchEmployee():
            return Problem(404, "no_such_employee", "no such employee")
        case TooManyRequests():
            failures = isinstance(error, TooManyFailures)
            code = "too_many_failures" if failures else "too_many_requests"
            return Problem(429, code, str(error), error.retry_after_s)
        case AuditUnavailable():
            log.error("the audit log cannot be written", cause=str(error))
            return Problem(
                503, "audit_unavailable", "the audit log is away, try again", _BACK_AFTER_S
            )
        case StoreUnavailable():
            log.error("the database is away", cause=str(error))
            return Problem(
                503, "store_unavailable", "the database is away, try again", _BACK_AFTER_S
            )
        case IndexUnavailable():
            log.error("the index is away", cause=str(error))
            return Problem(503, "index_unavailable", "the index is away, try again", _BACK_AFTER_S)
        case LivenessUnavailable():
            after_s = _BACK_AFTER_S if error.again else None
            return Problem(503, "liveness_unavailable", str(error), after_s)
        case Overloaded() | MemoryError():
            return Problem(503, "overloaded", "too many requests at once, try again", _ROOM_AFTER_S)
        case NotReady() | GalleryLoading():
            return Problem(503, "not_ready", f"not ready yet: {error}", _BACK_AFTER_S)
        case RequestEntityTooLarge():
            most = current_app.config["MAX_CONTENT_LENGTH"] / 1e6
            return Problem(413, "body_too_large", f"the request is larger than {most:g} MB")
        case HTTPException(code=int(status)):
            return Problem(status, *_HTTP.get(status, ("http_error", error.name.lower())))
        case _:
            log.exception("unexpected error", exc_info=error)
            return Problem(500, "internal_error", "something went wrong on our side")


_HTTP = {
    400: ("bad_request", "the request is malformed"),
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take that method"),
}


def _prefers_json() -> bool:
    if len(request.headers.get("Accept", "")) > _LONGEST_ACCEPT:
        return False
    best = request.accept_mimetypes.best_match(
        ["text/plain", "application/problem+json", "application/json"]
    )
    return best in ("application/problem+json", "application/json")
