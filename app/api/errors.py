"""Answer every exception with one plain sentence, or with problem+json (RFC 9457)."""

import json
from collections.abc import Mapping

import structlog
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from app.access.rate_limits import TooManyFailures, TooManyRequests
from app.api.paths import DOCS, is_v2
from app.api.v2.answers import refused_json
from app.audit import AuditUnavailable
from app.gallery import GalleryLoading, IndexUnavailable
from app.limiter import Overloaded
from app.liveness.client import LivenessUnavailable
from app.readiness import NotReady
from app.recognition import NotAnImage, UnusableImage
from app.recognition.frame_sequence import BadFrame
from app.storage import (
    EmployeeChanged,
    EmployeeExists,
    ExternalIdTaken,
    NoSuchEmployee,
    StoreUnavailable,
    TooManySessions,
)
from app.usecases.employee_samples import OtherModel, TooManySamples
from app.usecases.fraud_detection import FraudSuspected
from app.usecases.liveness_sessions import SessionGone
from app.usecases.login import NoMatch
from app.usecases.one_person import FaceEnrolled
from app.usecases.probes import NotAlive
from app.usecases.samples import LastSample, NoSuchSample, NoUsablePhoto, WrongDimension
from app.usecases.verification import NotVerified

log = structlog.get_logger()

# Retry-After. A full queue drains sooner than a dependency comes back or the service starts.
_RETRY_UNAVAILABLE_S = 5
_RETRY_OVERLOADED_S = 2
_MAX_ACCEPT = 1_000  # characters; browsers send 200. Parsing time grows with the square.


class Problem(Exception):
    """An error answer.

    code: stable, for programs. sentence: one short sentence for a person. retry_after_s: seconds
    until the same request may succeed; None if a retry cannot help. headers: added to the answer.
    members: added to it if it is JSON.
    """

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s
        self.headers = headers or {}
        self.members = members or {}

    def response(self) -> Response:
        """Return plain text, or problem+json if the request prefers JSON or is for `/api/v2`."""
        if is_v2(request.path) or _prefers_json():
            body = {
                "title": self.sentence,
                "status": self.status,
                "code": self.code,
                "request_id": g.request_id,
                **self.members,
            }
            response = Response(json.dumps(body), self.status, mimetype="application/problem+json")
        else:
            response = Response(self.sentence, self.status, mimetype="text/plain")
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        response.headers.update(self.headers)
        return response


def register(app: Flask) -> None:
    """Answer every exception with a Problem, so that no traceback leaves the process."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> Response:
    problem = _problem(error)
    g.code = problem.code
    structlog.contextvars.bind_contextvars(code=problem.code, reason=problem.sentence)
    response = problem.response()
    if isinstance(error, HTTPException) and (allow := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allow))
    return response


def not_ready(error: Exception, members: Mapping[str, object]) -> Problem:
    """Return the answer for operators, which states the cause and names settings.

    members: as of Problem.
    """
    problem = _problem(error)
    if isinstance(error, AuditUnavailable):
        sentence = problem.sentence
    else:
        sentence = f"not ready: {error.cause if isinstance(error, NotReady) else error}"
    return Problem(problem.status, problem.code, sentence, problem.retry_after_s, members=members)


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case NoMatch():
            return Problem(406, "no_match", "no matches found")
        case NotVerified():
            return Problem(406, "not_verified", "the person was not verified")
        case NotAlive():
            return Problem(406, "not_alive", "Liveness check failed")
        case SessionGone():
            return Problem(410, "session_gone", str(error))
        case FraudSuspected():
            return Problem(406, "fraud_suspected", f"Fraud check failed: {error}")
        case BadFrame():
            return Problem(400, "bad_frame", f"frames.{error.number}: {error}")
        case NoUsablePhoto():
            status = 415 if error.code == NotAnImage.code else 422
            refused = [refused_json(each) for each in error.refused]
            return Problem(status, error.code, str(error), members={"refused": refused})
        case NotAnImage():
            return Problem(415, error.code, str(error))
        case UnusableImage():
            return Problem(422, error.code, str(error))
        case WrongDimension():
            return Problem(400, "wrong_dimension", f"img_features: {error}")
        case EmployeeExists():
            return Problem(409, "employee_exists", "that employee id is taken")
        case FaceEnrolled():
            return Problem(409, "face_enrolled", "that face is already enrolled under another id")
        case ExternalIdTaken():
            return Problem(409, "external_id_taken", "another employee has that external_id")
        case LastSample():
            return Problem(409, "last_sample", f"{error}, delete the employee instead")
        case TooManySamples():
            return Problem(409, "too_many_samples", str(error))
        case OtherModel():
            return Problem(409, "other_model", str(error))
        case EmployeeChanged():
            sentence = "the employee is not stored as the request expects, read them again"
            return Problem(412, "precondition_failed", sentence)
        case NoSuchEmployee():
            return Problem(404, "no_such_employee", "no such employee")
        case NoSuchSample():
            return Problem(404, "no_such_sample", str(error))
        case TooManyRequests():
            failures = isinstance(error, TooManyFailures)
            code = "too_many_failures" if failures else "too_many_requests"
            return Problem(429, code, str(error), error.retry_after_s)
        case AuditUnavailable():
            _log_cause(str(error))
            return _unavailable("audit_unavailable", "the audit log is unavailable, try again")
        case StoreUnavailable():
            _log_cause(str(error))
            return _unavailable("store_unavailable", "the database is unavailable, try again")
        case IndexUnavailable():
            _log_cause(str(error))
            return _unavailable("index_unavailable", "the index is unavailable, try again")
        case LivenessUnavailable():
            _log_cause(error.cause)
            retry_after_s = _RETRY_UNAVAILABLE_S if error.again else None
            return Problem(503, "liveness_unavailable", str(error), retry_after_s)
        case TooManySessions():
            sentence = "too many liveness sessions of this API key are open, try again"
            return Problem(503, "overloaded", sentence, _RETRY_OVERLOADED_S)
        case Overloaded() | MemoryError():
            sentence = "too many requests at once, try again"
            return Problem(503, "overloaded", sentence, _RETRY_OVERLOADED_S)
        case NotReady() | GalleryLoading():
            return _unavailable("not_ready", f"not ready yet: {error}")
        case RequestEntityTooLarge():
            limit = current_app.config["MAX_CONTENT_LENGTH"] / 1e6
            return Problem(413, "body_too_large", f"the request is larger than {limit:g} MB")
        case NotFound() if is_v2(request.path):
            sentence = f"there is nothing at this address, {DOCS} lists all calls"
            return Problem(404, "not_found", sentence)
        case HTTPException(code=int(status)):
            return Problem(status, *_HTTP.get(status, ("http_error", error.name.lower())))
        case _:
            log.exception("unexpected error", exc_info=error)
            return Problem(500, "internal_error", "something went wrong on our side")


def _log_cause(cause: str) -> None:
    """Add to the request's log line what clients are not told."""
    structlog.contextvars.bind_contextvars(cause=cause)


def _unavailable(code: str, sentence: str) -> Problem:
    return Problem(503, code, sentence, _RETRY_UNAVAILABLE_S)


_HTTP = {
    400: ("bad_request", "the request is malformed"),
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not accept that method"),
}


def _prefers_json() -> bool:
    if len(request.headers.get("Accept", "")) > _MAX_ACCEPT:
        return False
    best = request.accept_mimetypes.best_match(
        ["text/plain", "application/problem+json", "application/json"]
    )
    return best in ("application/problem+json", "application/json")
