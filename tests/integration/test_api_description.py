"""The OpenAPI description: complete, and true of what the service answers."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from app.api.openapi import document
from app.api.schemas import FindMatchBody, StoreBody
from tests.fuzz.api import fuzz_api
from tools import openapi_snapshot

_DONE = {"application/json", "application/x-ndjson"}


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (
            rule.rule.replace("id:", "").replace("path:", "").replace("<", "{").replace(">", "}"),
            method.lower(),
        )
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def resolved(document: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or the one that it refers to."""
    _, _, name = answer.get("$ref", "").rpartition("/")
    found: dict[str, Any] = document["components"]["responses"].get(name, answer)
    return found


def test_every_route_is_described(client: FlaskClient, app: Flask) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    assert {(path, method) for path in paths for method in paths[path]} == routes(app)
    for path in paths:
        for operation in paths[path].values():
            assert operation["summary"]
            assert {"400", "413"} <= set(operation["responses"])
            assert {"200", "201", "204", "302"} & set(operation["responses"])


def test_a_route_that_is_not_described_fails() -> None:
    app = Flask(__name__)
    app.get("/new")(lambda: "new")
    with pytest.raises(LookupError, match="is not described"):
        document(app)


def test_every_field_of_a_body_is_described(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]
    assert set(schemas["StoreBody"]["properties"]) == set(StoreBody.model_fields)
    fields = {*FindMatchBody.model_fields, "img_base64", "image_base64"} - {"photo"}
    assert set(schemas["FindMatchBody"]["properties"]) == fields


def test_errors_are_described_in_both_forms(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    paths = document["paths"]
    responses = {
        status: resolved(document, answer)
        for status, answer in paths["/api/find_match"]["post"]["responses"].items()
    }
    assert set(responses["406"]["content"]) == {"text/plain", "application/problem+json"}
    assert "Retry-After" in responses["429"]["headers"]
    assert paths["/healthz"]["get"]["security"] == []


def test_the_second_version_takes_forms_and_answers_errors_in_json(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    operations = [
        operation
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if path.startswith("/api/v2/")
    ]
    assert len(operations) >= 15
    for operation in operations:
        if operation["operationId"] == "import_all":
            continue  # takes lines
        if body := operation.get("requestBody"):
            assert set(body["content"]) == {"application/json", "multipart/form-data"}
        for status, answer in operation["responses"].items():
            kinds = _DONE if status < "300" else {"application/problem+json"}
            assert set(resolved(document, answer).get("content", ())) <= kinds
    form = document["components"]["schemas"]["ProbeForm"]
    assert form["properties"]["photo"]["format"] == "binary"


def test_it_is_valid(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    OPENAPI_31_VALIDATOR.validate(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses")
        for name in document["components"][kind]
    }
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) <= named


def test_clients_are_generated_with_good_names(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)
    for operation in operations:
        for status in {"200", "201"} & operation["responses"].keys():
            content = operation["responses"][status]["content"]
            answer = content.get("application/json", {"schema": {"$ref": "text"}})
            assert "$ref" in answer["schema"] or operation["operationId"] == "show_openapi"


def test_the_snapshot_is_up_to_date(app: Flask) -> None:
    said = openapi_snapshot.text(app)
    assert said == openapi_snapshot.FILE.read_text(), "review the changes, then: make openapi"


def test_what_is_answered_is_as_it_is_described(client: FlaskClient, app: Flask) -> None:
    assert fuzz_api(app, examples=40, seed=1) > 200
