"""Read JSON bodies within limits, and check them against a schema."""

import json
from codecs import BOM_UTF8
from collections import Counter
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np
from flask import current_app, g, request
from pydantic import ValidationError

from app.api.errors import Problem
from app.api.schemas import Body
from app.sentences import what_is_wrong

T = TypeVar("T", bound=Body)

# JSON values allowed in a body for each of MAX_VECTORS_PER_EMPLOYEE. Two bytes of the body can
# become a value that takes a hundred bytes of memory.
_VALUES_PER_VECTOR = 2048
_CHUNK = 1 << 18  # bytes; fits a core's cache
_MAX_CODING = 20  # characters of Content-Encoding that an answer quotes
_MAX_NAME = 40  # characters of a member's name that an answer quotes
_MAX_DIGITS = 100  # of a number; parsing time grows with the square of its length
_UNKNOWN = "extra_forbidden"  # what pydantic calls a member that the schema does not have
_NOT_UTF_8 = "the body is not UTF-8 text, send JSON in UTF-8"


def read_body(schema: type[T]) -> T:
    """Return the request's JSON body, validated. Raises Problem 400 or 415, naming the field.

    Drop the received bytes, so that they take no memory while the request is processed.
    """
    refuse_encoded()
    if not request.is_json:
        sentence = f"send JSON like {schema.example}, with Content-Type: application/json"
        raise Problem(415, "not_json", sentence)
    return validated(schema, parsed(g.pop("received")))


def refuse_encoded() -> None:
    """Raise Problem 415 if the body is compressed."""
    if coding := _coding():
        sentence = f"the body is compressed ({coding}), send it without Content-Encoding"
        raise Problem(415, "encoded", sentence, headers={"Accept-Encoding": "identity"})


def validated(schema: type[T], members: object) -> T:
    """Return the members of a body as the schema has them. Raises Problem 400."""
    max_vectors = current_app.config["MAX_VECTORS_PER_EMPLOYEE"]
    try:
        return schema.model_validate(members, context={"max_vectors": max_vectors})
    except ValidationError as error:
        raise _bad(_sentence(error, schema)) from None


def _coding() -> str:
    """Return the body's content coding, shortened to ASCII; "" if it has none."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    return "" if coding == "identity" else ascii(coding[:_MAX_CODING])[1:-1]


def parsed(body: bytes) -> object:
    """Return the value of a JSON text within the limits of the settings. Raises Problem 400."""
    config = current_app.config
    max_values = _VALUES_PER_VECTOR * config["MAX_VECTORS_PER_EMPLOYEE"]
    return parse(body, config["MAX_JSON_DEPTH"], max_values)


def parse(body: bytes, max_depth: int, max_values: int) -> object:
    """Return the value of a JSON text. Raises Problem 400.

    Refuse objects that name a member twice: another reader of the same body might use the other.
    """
    if _count_values(body) > max_values:
        raise _bad(f"the body holds more than {max_values} values")
    too_deep = _bad(f"the body is nested more than {max_depth} levels deep")
    body = body.removeprefix(BOM_UTF8)
    if b"\0" in body[:4]:  # UTF-16 or UTF-32
        raise _bad(_NOT_UTF_8)
    try:
        text = body.decode()
        del body  # it may be large
        parsed = json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise too_deep from None
    except UnicodeDecodeError:
        raise _bad(_NOT_UTF_8) from None
    except ValueError:
        raise _bad("the body is not valid JSON") from None
    level = [parsed]
    for _ in range(max_depth + 1):
        level = [child for value in level for child in _children(value)]
    if level:
        raise too_deep
    return parsed


def _count_values(body: bytes) -> int:
    """Return an upper bound on the number of values in a JSON text."""
    codes = np.frombuffer(body, np.uint8)
    chunks = (codes[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
    return sum(int(np.count_nonzero(chunk == sign)) for chunk in chunks for sign in b",[{")


def _float(digits: str) -> float:
    return float(_checked(digits))


def _int(digits: str) -> int:
    return int(_checked(digits))


def _checked(digits: str) -> str:
    if len(digits) > _MAX_DIGITS:
        raise _bad(f"the body holds a number of more than {_MAX_DIGITS} digits")
    return digits


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        duplicate = next(name for name, count in counts.items() if count > 1)
        raise _bad(f"the body names {duplicate[:_MAX_NAME]!r} more than once")
    return members


def _children(value: object) -> list[Any]:
    """Return the lists and objects directly inside a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in inner if isinstance(each, list | dict)]


def _bad(sentence: str) -> Problem:
    return Problem(400, "bad_request", sentence)


def _sentence(error: ValidationError, schema: type[Body]) -> str:
    """Return a sentence for the first fault: the field, and what is wrong with it.

    An unknown name comes first, because it may be why another one is missing.
    """
    faults = error.errors(include_url=False, include_input=False)
    first = next((fault for fault in faults if fault["type"] == _UNKNOWN), faults[0])
    field = ".".join(str(part)[:_MAX_NAME] for part in first["loc"])
    if first["type"] == _UNKNOWN:
        return f"{field!r}: is unknown, {_what_is_known(field, list(schema.model_fields))}"
    what = what_is_wrong(first)
    if field:
        return f"{field}: {what}"
    return what if first["type"] == "value_error" else f"the body {what}"


def _what_is_known(name: str, known: list[str]) -> str:
    """Return what an unknown name may have meant, or all that there is."""
    similar = get_close_matches(name.casefold(), known, n=1)
    return f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known)}"
