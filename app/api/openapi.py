"""Describe the service in OpenAPI 3.1, generated from its routes, schemas and errors."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, current_app, jsonify
from pydantic import BaseModel
from werkzeug.routing import Rule

from app.api.access import public, roles_of
from app.api.components import Components, Json, json_schema, without_null
from app.api.paths import is_v2
from app.api.schemas import MAX_ID, Body
from app.version import VERSION

View = Callable[..., Any]

_OPENAPI = "3.1.0"
_DESCRIBED = "described"
_PROBLEM: Json = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "title": {"type": "string", "description": "one short sentence for a person"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable, for programs"},
        "request_id": {"type": "string", "description": "names the request in the log"},
        "refused": {
            "type": "array",
            "description": "each photo and why it cannot be used; only if none of several can",
            "items": {"type": "object"},
        },
    },
    "required": ["title", "status", "code", "request_id"],
}
_STATUSES = {
    200: "done",
    201: "made",
    204: "done; there is nothing to say",
    302: "go to a page, for browsers",
    400: "malformed: which field, and what is wrong with it",
    401: "the API key is missing or unknown",
    403: "the API key lacks the role",
    404: "there is nothing at this address",
    406: "no match, or a check failed",
    408: "the request did not arrive in time",
    409: "the request conflicts with what is stored",
    410: "the liveness session is used, has expired, or was never open",
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

_HEADERS = {
    "Idempotency-Key": "any text; repeats are made once, unless others change the employee",
    "If-Match": "the ETag of the employee when last read; after a change since, it is a 412",
    "If-None-Match": "`*`: only if there is no such employee",
}
_TAGS = {
    "v2": "The calls of version 2. Bodies are JSON or forms, and all errors are JSON.",
    "v1": "The first calls. Errors are text, or JSON for those who prefer it.",
    "service": "Health, monitoring and this description.",
}


class _Described(NamedTuple):
    summary: str
    body: type[Body] | Json | None
    answers: Json | None
    errors: tuple[int, ...]
    query: type[BaseModel] | None
    done: tuple[int, ...]
    headers: tuple[str, ...]


def describe(
    summary: str,
    body: type[Body] | Json | None = None,
    answers: Json | None = None,
    errors: Iterable[int] = (),
    *,
    query: type[BaseModel] | None = None,
    done: Sequence[int] = (200,),
    headers: Sequence[str] = (),
) -> Callable[[View], View]:
    """Describe an endpoint.

    body: schema of the request's body. answers: JSON schema of the answer, which is plain text if
    it is a string; None for the text `ok`. A string may have a `contentMediaType`, in either.
    errors: statuses in addition to those that all endpoints share. query: schema of the query.
    done: the statuses of success; 204 and 302 have no body.
    headers: those that the endpoint reads, of _HEADERS.

    The view's name is that of the call in generated clients.
    """

    def declare(view: View) -> View:
        said = (summary, body, answers, tuple(errors), query, tuple(done), tuple(headers))
        setattr(view, _DESCRIBED, _Described(*said))
        return view

    return declare


def blueprint() -> Blueprint:
    """Return the endpoint openapi.json."""
    api = Blueprint("openapi", __name__)

    @api.get("/openapi.json", endpoint="openapi")
    @public
    @describe("Return this description", answers={"type": "object"})
    def show_openapi() -> Response:
        return jsonify(description())

    return api


def description() -> Json:
    """Return the document of the current app. Call it when all routes are registered."""
    found: Json | None = current_app.extensions.get("openapi")
    if found is None:  # two threads may compute it at once, to the same result
        found = current_app.extensions["openapi"] = document(current_app)
    return found


def document(app: Flask) -> Json:
    """Return the OpenAPI document of all routes. Raises LookupError if one is not described."""
    paths: Json = {}
    components = Components(Problem=_PROBLEM)
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            view = app.view_functions[rule.endpoint]
            paths.setdefault(path, {})[method.lower()] = _operation(rule, view, components)
    return {
        "openapi": _OPENAPI,
        "info": {
            "title": "Image registration service",
            "version": VERSION,
            "description": "Enrols people's faces and logs them in by face.",
        },
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": components.responses,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(rule: Rule, view: View, components: Components) -> Json:
    said: _Described | None = getattr(view, _DESCRIBED, None)
    if said is None:
        raise LookupError(f"{rule.rule} is not described")
    roles = roles_of(view)
    statuses = {*said.errors, *_ALWAYS}
    statuses.update(_NOT_PUBLIC if roles is not None else ())
    statuses.update(_WITH_BODY if said.body else ())
    json_alone = is_v2(rule.rule)
    answers = components.answer(said.answers or {"type": "string", "const": "ok"})
    operation: Json = {
        "operationId": view.__name__,
        "tags": ["v2" if json_alone else "v1" if rule.rule.startswith("/api/") else "service"],
        "summary": said.summary,
        "parameters": [
            *(_parameter(rule, name) for name in sorted(rule.arguments)),
            *_query_parameters(said.query),
            *(_header(name) for name in said.headers),
        ],
        "responses": {str(status): _success(status, answers) for status in said.done}
        | {
            str(status): _error(status, said, json_alone, components) for status in sorted(statuses)
        },
        "security": [] if roles is None else [{"bearer": []}, {"key": []}, {}],
    }
    if roles is not None:
        named = dict.fromkeys([*roles, "admin"])
        operation["description"] = f"For API keys with the role {' or '.join(named)}."
    if isinstance(said.body, dict):
        content: Json = {said.body["contentMediaType"]: {"schema": said.body}}
        operation["requestBody"] = {"required": True, "content": content}
    elif said.body:
        content = {"application/json": {"schema": components.body(said.body)}}
        if json_alone:
            content["multipart/form-data"] = {"schema": components.form(said.body)}
        content["application/json"]["example"] = json.loads(said.body.example)
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(rule: Rule, name: str) -> Json:
    schema: Json = {"type": "integer", "minimum": 1, "examples": [1]}
    if name == "employee_id":
        schema |= {"minimum": 0, "maximum": MAX_ID}
    if name == "sample_id":
        schema = {"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["0123456789abcdef"]}
    if name == "file":
        schema = {"type": "string", "examples": ["app.js"]}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(schema: type[BaseModel] | None) -> list[Json]:
    if schema is None:
        return []
    return [
        {"name": name, "in": "query", "required": False}
        | ({"description": member.pop("description")} if "description" in member else {})
        | {"schema": without_null(member)}
        for name, member in json_schema(schema)["properties"].items()
    ]


def _header(name: str) -> Json:
    schema: Json = {"type": "string"}
    if name == "If-None-Match":
        schema["const"] = "*"
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": _HEADERS[name],
        "schema": schema,
    }


def _success(status: int, schema: Json) -> Json:
    if status in (204, 302):  # no content
        return {"description": _STATUSES[status]}
    is_text = schema.get("type") == "string"
    media_type = schema.get("contentMediaType", "text/plain" if is_text else "application/json")
    return {"description": _STATUSES[status], "content": {media_type: {"schema": schema}}}


def _error(status: int, said: _Described, json_alone: bool, components: Components) -> Json:
    """Return the answer of a status. json_alone: whether it is never text."""
    is_about_employee = status == 404 and status in said.errors
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
    name = "NoSuchEmployee" if is_about_employee else f"Error{status}"
    return components.error(name if json_alone else f"{name}V1", answer)
