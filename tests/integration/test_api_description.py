"""The OpenAPI description: complete, and true of what the service answers."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.openapi import document
from app.api.schemas import FindMatchBody, StoreBody
from tests.fuzz.api import fuzz_api


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (rule.rule.replace("id:", "").replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_described(client: FlaskClient, app: Flask) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    assert {(path, method) for path in paths for method in paths[path]} == routes(app)
    for path in paths:
        for operation in paths[path].values():
            assert operation["summary"]
            assert {"200", "400", "413"} <= set(operation["responses"])


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
    paths = client.get("/openapi.json").get_json()["paths"]
    responses = paths["/api/find_match"]["post"]["responses"]
    assert set(responses["406"]["content"]) == {"text/plain", "application/problem+json"}
    assert "Retry-After" in responses["429"]["headers"]
    assert paths["/healthz"]["get"]["security"] == []


def test_the_second_version_takes_forms_and_answers_errors_in_json(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    found = {
        path: paths[path]["post"]
        for path in paths
        if path.startswith("/api/v2/") and "post" in paths[path] and path != "/api/v2/import"
    }
    assert len(found) >= 6
    for operation in found.values():
        assert set(operation["requestBody"]["content"]) == {
            "application/json",
            "multipart/form-data",
        }
        for status, answer in operation["responses"].items():
            kind = "application/json" if status == "200" else "application/problem+json"
            assert set(answer["content"]) == {kind}
    form = found["/api/v2/identifications"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["properties"]["photo"]["format"] == "binary"


def test_what_is_answered_is_as_it_is_described(client: FlaskClient, app: Flask) -> None:
    assert fuzz_api(app, examples=40, seed=1) > 200
