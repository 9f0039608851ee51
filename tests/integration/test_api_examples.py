"""The example of each call under `/api/v2`, sent as it is described."""

from typing import Any

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from tests.support import sent_photos as photos

MISSING = {"list_audit_entries": 409, "import_all": 415}  # calls that need what is not set up here


def with_photos(value: Any) -> Any:  # noqa: ANN401
    """Return an example with photos of one person in place of "..."."""
    if isinstance(value, dict):
        return {name: with_photos(part) for name, part in value.items()}
    if isinstance(value, list):
        return [photos.admiral() if part == "..." else part for part in value]
    return photos.admiral() if value == "..." else value


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v2/")
    }


def test_examples_are_answered_as_described(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    body = {"name": "Grace", "photos": [photos.admiral()]}
    assert client.put("/api/v2/employees/1", json=body).status_code == 201
    found = operations(document)
    later = ["remove_sample", "remove_employee"]  # the others need the person
    for name in [*(each for each in found if each not in later), *later]:
        send(client, document, name, *found[name])


def other_sample(client: FlaskClient) -> str:
    """Add a sample to employee 1; its id."""
    photo = {"photos": [photos.admiral()]}
    (made,) = client.post("/api/v2/feature-vectors", json=photo).get_json()["vectors"]
    vector = [made["feature_vector"][0] + 0.01, *made["feature_vector"][1:]]
    path = "/api/v2/employees/1/samples"
    sample_id: str = client.post(path, json={"feature_vector": vector}).get_json()["sample_id"]
    return sample_id


def send(
    client: FlaskClient,
    document: dict[str, Any],
    name: str,
    method: str,
    path: str,
    operation: dict[str, Any],
) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            example = parameter["schema"]["examples"][0]
            if parameter["name"] == "sample_id":
                example = other_sample(client)
            path = path.replace(f"{{{parameter['name']}}}", str(example))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    response = client.open(path, method=method, json=body and with_photos(body["example"]))
    if name in MISSING:
        assert response.status_code == MISSING[name], response.text
        return
    assert response.status_code < 300, (name, response.text)
    answer = operation["responses"][str(response.status_code)]
    if (content := answer.get("content")) and response.is_json:
        schema = content[response.mimetype]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(response.get_json())
