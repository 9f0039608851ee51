"""JSON schemas in a few words, with links to those that have a name."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup, escape

from app.api.components import Json, without_null

_LINK = Markup('<a href="#{0}">{0}</a>')
_CODE = Markup("<code>{}</code>")
_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false"}
_MANY = 1 << 53  # a larger bound says nothing to a person


class Member(NamedTuple):
    """A member of an object, or a parameter."""

    name: str
    kind: Markup
    is_required: bool
    about: str


class SchemaText:
    """Puts schemas of a document into words. schemas: the named ones."""

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas

    def members(self, schema: Json) -> Iterator[Member]:
        """Yield the members of an object."""
        schema = self._resolved(schema)
        required = schema.get("required", ())
        for name, member in schema.get("properties", {}).items():
            is_required = name in required
            kind = self.kind(member if is_required else without_null(member))
            yield Member(name, kind, is_required, member.get("description", ""))

    def about(self, schema: Json) -> str:
        """Return the description of a schema; "" if it has none."""
        return str(self._resolved(schema).get("description", ""))

    def kind(self, schema: Json) -> Markup:
        """Return what a value is, as HTML."""
        if reference := schema.get("$ref"):
            return _LINK.format(reference.rpartition("/")[2])
        if "const" in schema:
            return _CODE.format(json.dumps(schema["const"]))
        if "enum" in schema:
            return Markup(" or ").join(_CODE.format(json.dumps(each)) for each in schema["enum"])
        if kinds := schema.get("anyOf"):
            return Markup(" or ").join(map(self.kind, kinds))
        types = schema.get("type", "object")
        if isinstance(types, list):
            kinds = [{**schema, "type": each} for each in types]
            return Markup(" or ").join(map(self.kind, kinds))
        if types == "array":
            return Markup("list of {}").format(self.kind(schema.get("items", {})))
        if types == "object" and isinstance(values := schema.get("additionalProperties"), dict):
            return Markup("object of {}").format(self.kind(values))
        return escape(", ".join((_word(types, schema), *_bounds(schema))))

    def _resolved(self, schema: Json) -> Json:
        reference = schema.get("$ref")
        return self._schemas[reference.rpartition("/")[2]] if reference else schema


def _word(kind: str, schema: Json) -> str:
    if "contentEncoding" in schema:
        return "photo"
    if "contentMediaType" in schema:
        return str(schema["contentMediaType"])
    if schema.get("format") == "date-time" and kind == "string":
        return "time"
    return _WORDS.get(kind, kind)


def _bounds(schema: Json) -> Iterator[str]:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if high is not None and high < _MANY:
        yield f"{low} to {high}" if low is not None else f"at most {high}"
    elif low is not None:
        yield f"at least {low}"
    if (longest := schema.get("maxLength")) is not None:
        yield f"up to {longest} characters"
    if pattern := schema.get("pattern"):
        yield f"like {pattern}"
    if schema.get("default") not in (None, "", [], {}):
        yield f"by default {json.dumps(schema['default'])}"
