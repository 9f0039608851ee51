"""What may be stored about a person beside the face: types for pydantic, whatever the way in."""

import json
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

MAX_ID = 2**63 - 1  # SQLite's and MongoDB's largest integer
MOST_GROUPS = 20
_MOST_METADATA = 4_096  # bytes of JSON

# U+200E, other direction marks and joiners are part of names in some scripts, so they are allowed.
_BIDI_CONTROLS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL_CATEGORIES = {"Cc", "Zl", "Zp"}
_INVISIBLE_CATEGORIES = {"Cf", "Cn", "Co", "Zs"}


def _displayable(text: str) -> str:
    """Refuse text that a list, a log or a terminal would not show as it is."""
    if any(unicodedata.category(char) in _CONTROL_CATEGORIES for char in text):
        raise ValueError("holds a control character or a line break")
    if not _BIDI_CONTROLS.isdisjoint(text):
        raise ValueError("holds a character that changes the direction of text")
    if text and all(unicodedata.category(char) in _INVISIBLE_CATEGORIES for char in text):
        raise ValueError("has no visible characters")
    return text


def _metadata(given: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(given, allow_nan=False, ensure_ascii=False).encode())
    except ValueError:  # also of a surrogate
        raise ValueError("holds a number or a character that JSON cannot hold") from None
    if size > _MOST_METADATA:
        raise ValueError(f"is larger than {_MOST_METADATA} bytes of JSON")
    return given


def _group(name: str) -> str:
    if not _GROUP.fullmatch(name):
        raise ValueError("must be 1 to 64 letters, digits, dots, _ or -")
    return name


def _ascending(given: list[str]) -> list[str]:
    return sorted(set(given))


_NAME = StringConstraints(strip_whitespace=True, max_length=200)

MaybeName = Annotated[str, _NAME, AfterValidator(_displayable)]
Name = Annotated[str, _NAME, StringConstraints(min_length=1), AfterValidator(_displayable)]
ExternalId = Name
GROUP = r"[A-Za-z0-9._-]{1,64}"
"""The form of a group's name, as a regular expression."""
_GROUP = re.compile(GROUP)
Group = Annotated[
    str,
    AfterValidator(_group),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{GROUP}$", "description": "letters, digits . _ -"}
    ),
]
Groups = Annotated[list[Group], Field(max_length=MOST_GROUPS), AfterValidator(_ascending)]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
