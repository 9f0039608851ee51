"""The call `audit-entries`: who did what, the newest first."""

from pathlib import Path
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field, StringConstraints

from app.api.access import scope
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.schemas import MAX_ID, about, described, named
from app.api.v2.bodies import read_query
from app.api.v2.schemas import Body
from app.audit import AuditLog
from app.audit.pages import CursorExpired, Wanted, newest

_TEXT = {"type": "string"}
_ENTRY = about(
    "An entry has more members, by its action; docs/access.md lists them.",
    named(
        "AuditEntry",
        described(
            time={"type": "string", "format": "date-time"},
            action=about("what was done, such as `login`", _TEXT),
            outcome=about("`ok`, or why it was refused", _TEXT),
        ),
    ),
)
ENTRIES = named(
    "AuditEntries",
    described(
        entries=about("the newest first", {"type": "array", "items": _ENTRY}),
        next_cursor=about(
            "for the next page; null if nothing older is in the file", {"type": ["string", "null"]}
        ),
    ),
)


class AuditQuery(Body):
    """Which entries to list."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    """How many to list on a page."""
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}-[0-9a-f]{16}$")] | None = None
    """The next_cursor of the page before."""
    employee_id: int | None = Field(None, ge=0, le=MAX_ID)
    """Only entries about this employee, or that name them."""
    outcome: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] | None = None
    """Only entries with this outcome."""


def add(api: Blueprint, audit: AuditLog, file: Path | None) -> None:
    """Add the call. file: the audit log's; None if it is not kept in a file."""

    @api.get("/audit-entries", endpoint="audit_entries")
    @describe(
        "List entries of the audit log, the newest first",
        answers=ENTRIES,
        errors=(409,),
        query=AuditQuery,
    )
    def list_audit_entries() -> Response:
        if scope() is not None:
            raise Problem(403, "group_forbidden", "the audit log is about people of all groups")
        asked = read_query(AuditQuery)
        if file is None:
            raise Problem(409, "no_audit_file", "AUDIT_LOG is not a file, so nothing can be read")
        with audit.entry("read_audit", employee_id=asked.employee_id, size=asked.limit):
            try:
                wanted = Wanted(asked.employee_id, asked.outcome)
                page = newest(file, asked.limit, asked.cursor, wanted)
            except CursorExpired:
                sentence = "cursor: the audit log was rotated since, begin again without one"
                raise Problem(409, "cursor_expired", sentence) from None
        return jsonify(entries=page.entries, next_cursor=page.next_cursor)
