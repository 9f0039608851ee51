"""What calls raise."""

import httpx

from image_registration.answers import Refused


class ImageRegistrationError(Exception):
    """Every error of this package."""


class NoAnswer(ImageRegistrationError):
    """The service could not be reached, or did not answer in time. The call may have been done."""


class ServiceError(ImageRegistrationError):
    """The service, or a proxy in front of it, answered with an error.

    status: of HTTP. code: stable, for programs. detail: one sentence for a person.
    request_id: names the request in the service's log.
    retry_after: seconds until the same call may succeed; None if a retry cannot help.
    refused: why each of several photos cannot be enrolled, if none can.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str,
        retry_after: float | None,
        refused: tuple[Refused, ...] = (),
    ) -> None:
        super().__init__(f"{detail} ({status} {code}, request {request_id})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after
        self.refused = refused


class InvalidRequest(ServiceError):
    """The call is malformed, too large, or of a kind that this service does not know."""


class AccessDenied(ServiceError):
    """The API key is missing or unknown, lacks the role, or is bound to other groups."""


class NotFound(ServiceError):
    """There is no such employee or sample."""


class LoginRefused(ServiceError):
    """Nobody is let in."""


class NoMatch(LoginRefused):
    """The face is nobody's who is enrolled."""


class NotVerified(LoginRefused):
    """The photo was not found to show that employee."""


class NotAlive(LoginRefused):
    """The frames do not show a living face."""


class SessionGone(LoginRefused):
    """The liveness session is used, has expired, or was never open: open another one."""


class FraudSuspected(LoginRefused):
    """The check for fraud failed."""


class Conflict(ServiceError):
    """What is stored stands against it, for example `last_sample` or `external_id_taken`."""


class EmployeeExists(Conflict):
    """That employee id is taken."""


class FaceEnrolled(Conflict):
    """That face is enrolled under another id already."""


class PreconditionFailed(ServiceError):
    """The employee has changed since they were read, or exists if only a new one is wanted."""


class FaceRefused(ServiceError):
    """The photo cannot be used: `code` and `detail` say why and what to do."""


class TooManyRequests(ServiceError):
    """Too many calls, or too many failed logins."""


class ServiceUnavailable(ServiceError):
    """The service is overloaded, is starting, or lacks a part that it needs."""


_BY_CODE: dict[str, type[ServiceError]] = {
    "no_match": NoMatch,
    "not_verified": NotVerified,
    "not_alive": NotAlive,
    "fraud_suspected": FraudSuspected,
    "session_gone": SessionGone,
    "employee_exists": EmployeeExists,
    "face_enrolled": FaceEnrolled,
    "no_such_employee": NotFound,
    "no_such_sample": NotFound,
    "not_an_image": FaceRefused,
}
_BY_STATUS: dict[int, type[ServiceError]] = {
    401: AccessDenied,
    403: AccessDenied,
    406: LoginRefused,
    409: Conflict,
    412: PreconditionFailed,
    422: FaceRefused,
    429: TooManyRequests,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def error_of(response: httpx.Response) -> ServiceError:
    """Return the error that a response stands for."""
    status = response.status_code
    is_problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
    if is_problem:
        problem = response.json()
    else:  # of a proxy
        problem = {"code": "http_error", "title": response.text[:200] or "no explanation"}
    otherwise = InvalidRequest if 400 <= status < 500 else ServiceError
    kind = _BY_CODE.get(problem["code"]) or _BY_STATUS.get(status, otherwise)
    return kind(
        status,
        problem["code"],
        problem["title"],
        problem.get("request_id") or response.headers.get("X-Request-ID", ""),
        _retry_after(response, is_problem),
        tuple(
            Refused(each["photo"], each["code"], each["detail"])
            for each in problem.get("refused", ())
        ),
    )


def _retry_after(response: httpx.Response, is_problem: bool) -> float | None:
    """Return the seconds to wait. A proxy does not name them if the service behind it is away."""
    named = response.headers.get("Retry-After", "")
    if named.isdecimal():
        return float(named)
    return 0.0 if response.status_code in (502, 503, 504) and not is_problem else None
