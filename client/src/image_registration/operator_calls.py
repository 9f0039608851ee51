"""The calls of `/api/v2` for operators, described once for both clients."""

from pathlib import Path

from image_registration import reading
from image_registration.call import Call, given
from image_registration.operators import AuditPage, Existing, Imported, Measurement, System


def system() -> Call[System]:
    """Return what runs there, in what state and within which limits."""
    return Call("GET", "/system", reading.system)


def gallery() -> Call[Measurement | None]:
    """Return what the gallery says of itself; None before it is measured."""
    return Call("GET", "/gallery", reading.gallery)


def audit_page(
    *,
    employee_id: int | None = None,
    outcome: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Call[AuditPage]:
    """Return up to 1,000 entries of the audit log, the newest first.

    employee_id: only entries about this employee, or that name them. cursor: `next_cursor` of the
    page before. Raises Conflict if the log is in no file, or was rotated since the page before.
    """
    query = given(employee_id=employee_id, outcome=outcome, limit=limit, cursor=cursor)
    return Call("GET", "/audit-entries", reading.audit_page, query=query)


def export_all() -> Call[None]:
    """Return the call whose answer is an export; `Receiving` takes it."""
    return Call("GET", "/export", reading.nothing)


def import_all(file: Path, existing: Existing, timeout_s: float) -> Call[tuple[Imported, ...]]:
    """Return the call that sends an export. `pieces` are its body."""
    return Call(
        "POST",
        "/import",
        reading.imported,
        query={"existing": existing},
        headers={
            "Content-Type": "application/x-ndjson",
            "Content-Length": str(file.stat().st_size),
        },
        timeout_s=timeout_s,
    )
