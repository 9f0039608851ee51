"""JSON bodies, read within limits and checked against a schema."""

import json
from codecs import BOM_UTF8
from collections import Counter
from typing import Any, TypeVar

import numpy as np
from flask import current_app, g, request
from pydantic import ValidationError

from app.api.errors import Problem
from app.api.schemas import Body
from app.sentences import what_is_wrong

T = TypeVar("T", bound=Body)

# For each vector of an employee. A value takes up to a hundred bytes of memory where the body
# spends two on it.
_VALUES = 2048
_PART = 1 << 18  # bytes, which fit a core's cache
_LONGEST_CODING = 20
_LONGEST_NUMBER = 100  # characters; the time to read one grows with their square
_NOT_UTF_8 = "the body is not UTF-8 text, send JSON in UTF-8"


def read_body(schema: type[T]) -> T:
    """The request's JSON body, checked. Raises Problem 400 or 415, which names the field.

    What was received is given up, so that it takes no memory while the request is worked on.
    """
    if coding := _coding():
        sentence = f"the body is compressed ({coding}), send it without Content-Encoding"
        raise Problem(415, "encoded", sentence, headers={"Accept-Encoding": "identity"})
    if not request.is_json:
        sentence = f"send JSON like {schema.example}, with Content-Type: application/json"
        raise Problem(415, "not_json", sentence)
    config = current_app.config
    limits = {"max_vectors": config["MAX_VECTORS_PER_EMPLOYEE"]}
    most = _VALUES * config["MAX_VECTORS_PER_EMPLOYEE"]
    members = parse(g.pop("received"), config["MAX_JSON_DEPTH"], most)
    try:
        return schema.model_validate(members, context=limits)
    except ValidationError as error:
        raise Problem(400, "bad_request", _sentence(error)) from None


def _coding() -> str:
    """The content coding of the body; empty if there is none."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    return "" if coding == "identity" else ascii(coding[:_LONGEST_CODING])[1:-1]


def parse(body: bytes, max_depth: int, max_values: int) -> object:
    """What the JSON text holds. Raises Problem 400.

    No object may name a member twice: whoever else reads that body might believe the other one.
    """
    if _values(body) > max_values:
        raise _bad(f"the body holds more than {max_values} values")
    too_deep = _bad(f"the body is nested more than {max_depth} levels deep")
    body = body.removeprefix(BOM_UTF8)
    if b"\0" in body[:4]:  # as in all JSON of two or four bytes a character
        raise _bad(_NOT_UTF_8)
    try:
        text = body.decode()
        del body  # it may be large
        parsed = json.loads(text, object_pairs_hook=_members, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise too_deep from None
    except UnicodeDecodeError:
        raise _bad(_NOT_UTF_8) from None
    except ValueError:
        raise _bad("the body is not valid JSON") from None
    level = [parsed]
    for _ in range(max_depth + 1):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise too_deep
    return parsed


def _values(body: bytes) -> int:
    """How many values there are at most."""
    letters = np.frombuffer(body, np.uint8)
    parts = (letters[start : start + _PART] for start in range(0, len(body), _PART))
    return sum(int(np.count_nonzero(part == sign)) for part in parts for sign in b",[{")


def _float(digits: str) -> float:
    return float(_short(digits))


def _int(digits: str) -> int:
    return int(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise _bad(f"the body holds a number of more than {_LONGEST_NUMBER} digits")
    return digits


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name, count in times.items() if count > 1)
        raise _bad(f"the body names {twice[:40]!r} more than once")
    return members


def _inside(value: object) -> list[Any]:
    """The lists and objects right in this one."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in inner if isinstance(each, list | dict)]


def _bad(sentence: str) -> Problem:
    return Problem(400, "bad_request", sentence)


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong: which field, and what about it."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    what = what_is_wrong(first)
    if field:
        return f"{field}: {what}"
    return what if first["type"] == "value_error" else f"the body {what}"
