"""What a request says in its path and headers: whom it means, and which version of them."""

from hashlib import blake2b

from flask import g, request

from app.api.access import key_id, scope
from app.api.errors import Problem
from app.api.schemas import MAX_ID
from app.storage import Employee, new_enrolment_id

_UNNAMED = "0"  # the ETag of records of older releases, whose enrolments have no id


def checked(employee_id: int) -> int:
    """Return an employee id of a path. Raises Problem 400 if it is too large."""
    if employee_id > MAX_ID:
        raise Problem(400, "bad_request", f"employee_id: must be at most {MAX_ID}")
    return employee_id


def enrolment_id() -> str:
    """Return a new id, or the same one for every retry that sends the same Idempotency-Key.

    Call it before the body is read.
    """
    key = request.headers.get("Idempotency-Key")
    if not key:
        return new_enrolment_id()
    # Keys of groups are others' clients; for all others, earlier releases must know the retry, too.
    owner = key_id() if scope() is not None else ""
    digest = blake2b("\n".join((key, request.path, owner)).encode(), digest_size=16)
    digest.update(g.received)
    return digest.hexdigest()


def etag(employee: Employee) -> str:
    """Return the ETag of an employee's record."""
    return employee.enrolment_id or _UNNAMED


def expected_enrolment() -> str | None:
    """Return the enrolment that If-Match names; None if any may be changed. Raises Problem 400."""
    given = request.headers.get("If-Match")
    if given is None or request.if_match.star_tag:
        return None
    tags = request.if_match.as_set()
    if len(tags) != 1:
        raise Problem(400, "bad_request", f"If-Match: send one ETag, not {given[:40]!r}")
    (tag,) = tags
    return "" if tag == _UNNAMED else str(tag)
