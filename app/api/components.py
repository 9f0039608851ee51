"""The named schemas and errors of the OpenAPI document, and references to them."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

Json = dict[str, Any]

_PREFIX = "#/components/schemas/"


class _Untitled(GenerateJsonSchema):
    """Without a title for each member, which would only repeat its name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema(schema: type[BaseModel]) -> Json:
    """Return the JSON schema of a body or query."""
    return schema.model_json_schema(ref_template=f"{_PREFIX}{{model}}", schema_generator=_Untitled)


def without_null(schema: Json) -> Json:
    """Return the schema of a member that is absent rather than null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else schema


class Components:
    """Collects schemas and errors by name."""

    def __init__(self, **schemas: Json) -> None:
        self.schemas = schemas
        self.responses: Json = {}

    def error(self, name: str, answer: Json) -> Json:
        """Add an error. Return a reference to it."""
        self.responses[name] = answer
        return {"$ref": f"#/components/responses/{name}"}

    def body(self, schema: type[BaseModel]) -> Json:
        """Add the schema of a JSON body. Return a reference to it."""
        found = json_schema(schema)
        self.schemas |= found.pop("$defs", {})
        return self._add(schema.__name__, found)

    def form(self, schema: type[BaseModel]) -> Json:
        """Add the schema of the same body as a form, in which pictures are files."""
        return self._add(f"{schema.__name__.removesuffix('Body')}Form", _form(json_schema(schema)))

    def answer(self, schema: Any) -> Any:  # noqa: ANN401  any part of a schema
        """Return a schema of an answer; add what is `named` in it, and refer to that."""
        if isinstance(schema, list):
            return [self.answer(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        parts = {name: self.answer(part) for name, part in schema.items()}
        title = schema.get("title")
        return self._add(title, parts) if isinstance(title, str) else parts

    def _add(self, name: str, schema: Json) -> Json:
        """Add a schema. Raises ValueError if another one has the same name."""
        if self.schemas.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are named {name}")
        return {"$ref": f"{_PREFIX}{name}"}


def _form(schema: Any) -> Any:  # noqa: ANN401  any part of a schema
    if isinstance(schema, list):
        return [_form(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "contentEncoding" in schema:
        return {"type": "string", "format": "binary"}
    return {name: _form(part) for name, part in schema.items() if name != "title"}
