"""Read bodies that are JSON or a form with files, into the same schemas."""

import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import IO, NamedTuple, TypeVar, get_args

from flask import current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from app.api.bodies import parsed, refuse_encoded, validated
from app.api.errors import Problem
from app.api.schemas import FRAMES, Body

T = TypeVar("T", bound=Body)

FORM = "multipart/form-data"
_WHOLE = re.compile(r"-?[0-9]{1,18}")

# Bytes of a text part, and of a part's headers, which take long to parse. It is read in pieces.
_MAX_TEXT, _PIECE = 16 << 10, 4 << 10
_MORE_PARTS = FRAMES + 20  # in addition to MAX_VECTORS_PER_EMPLOYEE pictures


class _Member(NamedTuple):
    """How a form holds a member: as a file or text, once or repeatedly."""

    is_file: bool = False
    is_text: bool = False
    is_repeated: bool = False


def read(schema: type[T]) -> T:
    """Return the request's body, validated. Raises Problem 400, 413 or 415.

    Drop the received bytes, so that they take no memory while the request is processed.
    """
    refuse_encoded()
    if request.is_json:
        return validated(schema, parsed(g.pop("received")))
    if request.mimetype == FORM:
        return validated(schema, dict(_members(_form(g.pop("received")), _known(schema))))
    sentence = f"send {FORM}, or JSON like {schema.example} with Content-Type: application/json"
    raise Problem(415, "not_json", sentence)


def read_query(schema: type[T]) -> T:
    """Return the query's parameters, validated. Raises Problem 400."""
    members: dict[str, object] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise _bad(f"{name[:40]!r} is in the query more than once")
        field = schema.model_fields.get(name)
        is_number = field is not None and int in (field.annotation, *get_args(field.annotation))
        members[name] = int(values[0]) if is_number and _WHOLE.fullmatch(values[0]) else values[0]
    return validated(schema, members)


def _form(received: bytes) -> dict[str, list[str | bytes]]:
    """Return the parts of a form by their names: files as bytes, others as text."""
    most = current_app.config["MAX_VECTORS_PER_EMPLOYEE"] + _MORE_PARTS
    parser = MultiPartParser(
        stream_factory=_in_memory,
        max_form_memory_size=_MAX_TEXT,
        max_form_parts=most,
        buffer_size=_PIECE,
    )
    try:
        boundary = request.mimetype_params.get("boundary", "").encode("ascii")
        texts, files = parser.parse(BytesIO(received), boundary, len(received))
    except RequestEntityTooLarge:
        sentence = (
            f"the form has more than {most} parts, or text of more than {_MAX_TEXT} bytes: "
            "send pictures as files, with a filename"
        )
        raise Problem(413, "body_too_large", sentence) from None
    except ValueError:
        raise _bad(f"the body is not {FORM} as its Content-Type says") from None
    parts: dict[str, list[str | bytes]] = {}
    for name, text in texts.items(multi=True):
        if "\ufffd" in text:
            raise _bad(f"{name[:40]}: is not UTF-8 text")
        parts.setdefault(name, []).append(text)
    for name, file in files.items(multi=True):
        assert isinstance(file.stream, BytesIO)
        parts.setdefault(name, []).append(file.stream.getvalue())  # `read` would copy
    if None in parts:  # whatever the type says
        raise _bad("the form has a part without a name")
    return parts


def _in_memory(*_: object, **about: object) -> IO[bytes]:
    """Keep files in memory, as photos are never written to a disk."""
    return BytesIO()


def _members(
    form: dict[str, list[str | bytes]], known: dict[str, _Member]
) -> Iterator[tuple[str, object]]:
    """Yield names and values as in JSON, except that pictures are bytes."""
    for name, parts in form.items():
        member = known.get(name, _Member())
        if member.is_file and not all(isinstance(part, bytes) for part in parts):
            raise _bad(f"{name}: send a picture as a file, with a filename")
        values = [_value(part, member) for part in parts]
        if name in known and not member.is_repeated and len(values) > 1:
            raise _bad(f"the form has {name[:40]!r} more than once")
        yield name, values if member.is_repeated else values[0]


def _value(part: str | bytes, member: _Member) -> object:
    """Return a part as the member has it. What is neither a file nor text is written as in JSON."""
    if isinstance(part, bytes) or member.is_text:
        return part
    try:
        return parsed(part.encode())
    except Problem:
        return part  # the schema says what it must be


@cache
def _known(schema: type[Body]) -> dict[str, _Member]:
    """Return how a form holds each member of a schema."""
    known = {}
    for name, described in schema.model_json_schema()["properties"].items():
        kinds = [kind for kind in described.get("anyOf", [described]) if kind.get("type") != "null"]
        items = kinds[0].get("items", {})
        is_repeated = items.get("type") == "string"
        one = items if is_repeated else kinds[0]
        known[name] = _Member("contentEncoding" in one, one.get("type") == "string", is_repeated)
    return known


def _bad(sentence: str) -> Problem:
    return Problem(400, "bad_request", sentence)
