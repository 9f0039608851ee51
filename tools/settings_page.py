"""Write docs/settings.md from the fields of app/settings."""

from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings.fields import SECURITY, Fields
from app.settings.values import ROOT, Kind

PAGE = ROOT / "docs/settings.md"

_INTRODUCTION = """\
# Settings

The service is set up through environment variables. `make settings` generates this page from
`app/settings/fields.py`.

- A bad value stops the start, with a message that names the variable and says what it takes. All
  bad values are reported at once. An empty variable counts as unset.
- White space around a value is ignored; of passwords and tokens only line ends are removed. A value
  in quotation marks, or one with control characters in it, stops the start.
- A variable whose name resembles a setting (`MONGO_URL`, `API_KEY`) is reported in the log. If
  security depends on that setting (marked \\*) and it is not set itself, the service and its
  commands do not start.
- Relative paths start in the folder of `entry.py`, wherever the service is started from.
- Passwords, tokens and keys never appear in a log.
"""

# The first setting of each topic, and the title of the topic.
_TOPICS = {
    "host": "Server",
    "mongo_db_protocol": "Database",
    "gallery_index": "Gallery index",
    "face_model": "Face model",
    "login_match_threshold": "Login checks",
    "api_keys": "Access, limits and audit log",
    "max_body_mb": "Size of requests and pictures",
    "log_level": "Service log and traces",
}


def page() -> str:
    """Return the text of docs/settings.md."""
    types = get_type_hints(Fields, include_extras=True)
    lines = [_INTRODUCTION]
    for name, field in Fields.model_fields.items():
        if name in _TOPICS:
            lines.append(f"\n## {_TOPICS[name]}\n\n| variable | value | default | description |")
            lines.append("|---|---|---|---|")
        mark = " \\*" if name in SECURITY else ""
        cells = (f"`{name.upper()}`{mark}", _value(types[name], field), default(name))
        description = " ".join((field.description or "").split())
        lines.append(f"| {' | '.join(cells)} | {description} |")
    return "\n".join(lines) + "\n"


def default(name: str) -> str:
    """Return the default of a setting as the page shows it; empty if it has none."""
    field = Fields.model_fields[name]
    if isinstance(usual := field.json_schema_extra, dict):  # what it is depends on the machine
        return str(usual["default"])
    match found := field.default:
        case None:
            return ""
        case bool():
            return f"`{str(found).lower()}`"
        case int() | float():
            return f"`{_number(found)}`"
        case Path():
            return f"`{found.relative_to(ROOT)}`"
        case _:
            return f"`{found}`"


def _value(annotation: object, field: FieldInfo) -> str:
    """Return what a setting takes, in a few words."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return next(each.name for each in get_args(annotation) if isinstance(each, Kind))
    if annotation is bool:
        return "`true`, `false`"
    if annotation is SecretStr:
        return "secret"
    return "text" if annotation is str else _range(field)


def _range(field: FieldInfo) -> str:
    words = []
    for bound in field.metadata:
        match bound:
            case Ge(ge=least):
                words.append(f"{_number(least)} or more")
            case Gt(gt=least):
                words.append(f"more than {_number(least)}")
            case Le(le=most):
                words.append(f"at most {_number(most)}")
    return ", ".join(words).replace(" or more, at most", " to")


def _number(number: Any) -> str:  # noqa: ANN401  the bounds are untyped
    return f"{number:.10g}"


if __name__ == "__main__":
    PAGE.write_text(page())
