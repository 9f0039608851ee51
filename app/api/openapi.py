"""Describe the service in OpenAPI 3.1, generated from its routes, schemas and errors."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify
from pydantic import BaseModel
from werkzeug.routing import Rule

from app.api.access import public, roles_of
from app.api.paths import is_v2
from app.api.schemas import MAX_ID
from app.version import VERSION

View = Callable[..., Any]
Json = dict[str, Any]

_OPENAPI = "3.1.0"
_DESCRIBED = "described"
_PROBLEM: Json = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "title": {"type": "string", "description": "one short sentence for a person"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable, for programs"},
        "request_id": {"type": "string"},
    },
    "required": ["title", "status", "code", "request_id"],
}
_STATUSES = {
    200: "done",
    201: "made",
    204: "done; there is nothing to say",
    400: "malformed: which field, and what is wrong with it",
    401: "the API key is missing or unknown",
    403: "the API key lacks the role",
    404: "there is nothing at this address",
    406: "no match, or a check failed",
    408: "the request did not arrive in time",
    409: "the request conflicts with what is stored",
    412: "the employee is not stored as If-Match or If-None-Match says",
    413: "the body is too large",
    414: "the address is too long",
    415: "the body is not JSON or is compressed, or the picture's format is not supported",
    422: "the picture can be read but not used",
    429: "too many requests, or too many failed logins",
    431: "the headers are too large",
    503: "overloaded, starting, or a dependency is unavailable",
}
_NO_SUCH_EMPLOYEE = "there is no such employee"
# Statuses that are not declared for each endpoint: of all endpoints, of those that are not public,
# and of those that take a body.
_ALWAYS = (400, 404, 408, 413, 414, 431)
_NOT_PUBLIC = (401, 403, 429, 503)
_WITH_BODY = (415,)


def describe(
    summary: str,
    body: type[BaseModel] | Json | None = None,
    answers: Json | None = None,
    errors: Iterable[int] = (),
    *,
    query: type[BaseModel] | None = None,
    done: Sequence[int] = (200,),
) -> Callable[[View], View]:
    """Describe an endpoint.

    body: schema of the request's body. answers: JSON schema of the answer, which is plain text if
    it is a string; None for the text `ok`. A string may have a `contentMediaType`, in either.
    errors: statuses in addition to those that all endpoints share. query: schema of the query.
    done: the statuses of success; 204 has no body.
    """

    def declare(view: View) -> View:
        setattr(view, _DESCRIBED, (summary, body, answers, tuple(errors), query, tuple(done)))
        return view

    return declare


def blueprint() -> Blueprint:
    """Return the endpoint openapi.json."""
    api = Blueprint("openapi", __name__)
    cached: list[Json] = []  # filled by the first call, when all routes are registered

    @api.get("/openapi.json")
    @public
    @describe("Return this description", answers={"type": "object"})
    def openapi() -> Response:
        if not cached:  # two threads may compute it at once, to the same result
            cached.append(document(current_app))
        return jsonify(cached[0])

    return api


def document(app: Flask) -> Json:
    """Return the OpenAPI document of all routes. Raises LookupError if one is not described."""
    paths: Json = {}
    schemas: Json = {"Problem": _PROBLEM}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            view = app.view_functions[rule.endpoint]
            paths.setdefault(path, {})[method.lower()] = _operation(rule, view, schemas)
    return {
        "openapi": _OPENAPI,
        "info": {
            "title": "Image registration service",
            "version": VERSION,
            "description": "Enrols people's faces and logs them in by face.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(rule: Rule, view: View, schemas: Json) -> Json:
    described = getattr(view, _DESCRIBED, None)
    if described is None:
        raise LookupError(f"{rule.rule} is not described")
    summary, body, answers, errors, query, done = described
    roles = roles_of(view)
    statuses = {*errors, *_ALWAYS}
    statuses.update(_NOT_PUBLIC if roles is not None else ())
    statuses.update(_WITH_BODY if body else ())
    json_alone = is_v2(rule.rule)
    operation: Json = {
        "operationId": rule.endpoint,
        "summary": summary,
        "parameters": [
            *(_parameter(rule, name) for name in sorted(rule.arguments)),
            *_query_parameters(query),
        ],
        "responses": {str(status): _success(status, answers) for status in done}
        | {str(status): _error(status, errors, json_alone) for status in sorted(statuses)},
        "security": [] if roles is None else [{"bearer": []}, {"key": []}, {}],
    }
    if roles is not None:
        operation["description"] = f"For API keys with the role {' or '.join([*roles, 'admin'])}."
    if isinstance(body, dict):
        content = {body["contentMediaType"]: {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    elif body:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[body.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference}},
        }
        if json_alone:
            content = operation["requestBody"]["content"]
            content["multipart/form-data"] = {"schema": _as_form(schema)}
    return operation


def _as_form(schema: Any) -> Any:  # noqa: ANN401  any part of a schema
    """Return the schema of a form: pictures are files."""
    if isinstance(schema, list):
        return [_as_form(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "contentEncoding" in schema:
        return {"type": "string", "format": "binary"}
    return {name: _as_form(part) for name, part in schema.items()}


def _parameter(rule: Rule, name: str) -> Json:
    schema: Json = {"type": "integer", "minimum": 1}
    if name == "employee_id":
        schema |= {"minimum": 0, "maximum": MAX_ID}
    if name == "sample_id":
        schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(schema: type[BaseModel] | None) -> list[Json]:
    if schema is None:
        return []
    members = schema.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": member}
        for name, member in members.items()
    ]


def _success(status: int, schema: Json | None) -> Json:
    if status == 204:  # no content
        return {"description": _STATUSES[status]}
    schema = schema or {"type": "string", "const": "ok"}
    usual = "text/plain" if schema["type"] == "string" else "application/json"
    media_type = schema.get("contentMediaType", usual)
    return {"description": _STATUSES[status], "content": {media_type: {"schema": schema}}}


def _error(status: int, declared: Iterable[int], json_alone: bool) -> Json:
    """Return the answer of a status.

    declared: the endpoint's own statuses, as in `describe`. json_alone: whether it is never text.
    """
    is_about_employee = status == 404 and status in declared
    answer: Json = {
        "description": _NO_SUCH_EMPLOYEE if is_about_employee else _STATUSES[status],
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }
    if json_alone:
        del answer["content"]["text/plain"]
    if status in (429, 503):
        answer["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "in seconds"}
        }
    return answer
