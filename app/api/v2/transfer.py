"""The calls `export` and `import`: all employees as lines of JSON."""

import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Literal

from flask import Blueprint, Response, g, request

from app.api.access import scope
from app.api.bodies import refuse_encoded
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.v2.answer_schemas import Json
from app.api.v2.bodies import read_query
from app.api.v2.schemas import Body
from app.audit import AuditLog
from app.lifecycle import Service
from app.limiter import Limiter
from app.server import STREAMED
from app.usecases.transfer import Existing, Transfer
from app.usecases.transfer_lines import TransferRefused, check, read

_LINES = "application/x-ndjson"
_SCHEMA: Json = {"type": "string", "contentMediaType": _LINES}
_PIECE = 1 << 16  # bytes that are sent at a time


class ImportQuery(Body):
    """How to import."""

    existing: Literal["skip", "replace", "fail"] = "fail"
    """What to do with people whose id is stored with another enrolment."""


def add(api: Blueprint, service: Service, audit: AuditLog) -> None:
    """Add the calls. A worker answers one import at a time."""
    imports = Limiter(1, patience_s=0)

    def transfer() -> Transfer:
        if scope() is not None:
            sentence = "this API key is bound to groups, and this call is about everybody"
            raise Problem(403, "group_forbidden", sentence)
        service.check_loaded()
        return Transfer(service.store, service.recogniser.model, audit, service.writing)

    @api.get("/export")
    @describe("Export all employees, with their feature vectors", answers=_SCHEMA)
    def export_all() -> Response:
        lines = transfer().export()
        request.environ[STREAMED] = True
        return Response(_pieces(lines), mimetype=_LINES)

    @api.post("/import")
    @describe("Import the employees of an export", _SCHEMA, _SCHEMA, query=ImportQuery)
    def import_all() -> Response:
        query = read_query(ImportQuery)
        refuse_encoded()
        if request.mimetype != _LINES:
            raise Problem(415, "not_json", f"send an export, with Content-Type: {_LINES}")
        to = transfer()
        with imports, BytesIO(g.pop("received")) as body:
            try:
                checked = check(read(body), service.recogniser.model)
            except TransferRefused as error:
                sentence = f"{error}; nothing was imported"
                raise Problem(400, "bad_export", sentence) from None
            body.seek(0)
            results = [
                json.dumps(result.members()) + "\n"
                for result in to.load(read(body), checked, Existing(query.existing))
            ]
        return Response("".join(results), mimetype=_LINES)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines, because each piece takes a thread."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
