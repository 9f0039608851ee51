"""The Python client has every member and parameter of `/api/v2` that docs/openapi.json has."""

import json
import re
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

import image_registration as client
from image_registration import calls, operator_calls
from testbed.serving import ROOT

DESCRIPTION = json.loads((ROOT / "docs/openapi.json").read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
CALLS = {
    operation["operationId"]: operation
    for path, methods in DESCRIPTION["paths"].items()
    if path.startswith("/api/v2/")
    for operation in methods.values()
}

# The class of each schema that has another name.
NAMED = {
    "Identification": client.Match,
    "Person": client.Employee,
    "EnrolledPerson": client.Enrolled,
    "People": client.Page,
    "RefusedPhoto": client.Refused,
    "AuditEntries": client.AuditPage,
    "RunningModel": client.Model,
}
# Members that the client reads in another way, by schema.
OTHERWISE = {
    "Identification": {"match"},  # whose members are those of Match
    "Verification": {"verified"},  # or it raises
    "Candidate": {"employee"},
    "EnrolledPerson": set(SCHEMAS["Person"]["properties"]),
}
NOT_READ = {"Employee", "FeatureVector", "NoFeatureVector", "Landmarks", "Gallery"}

# The function that makes each call that has another name.
MADE_BY: dict[str, Callable[..., object]] = {
    "verify_claim": calls.verify,
    "search_candidates": calls.candidates,
    "find_faces": calls.faces,
    "make_feature_vectors": calls.feature_vectors,
    "put_employee": calls.enrol,
    "show_employee": calls.get_employee,
    "remove_employee": calls.delete_employee,
    "list_employees": calls.page,
    "remove_sample": calls.delete_sample,
    "list_audit_entries": operator_calls.audit_page,
    "show_system": operator_calls.system,
    "show_gallery": operator_calls.gallery,
    "show_me": calls.me,
    "export_all": operator_calls.export_all,
    "import_all": operator_calls.import_all,
}
# What the client sends by itself, or takes under another name.
PARAMETERS = {"If-Match": "if_match", "If-None-Match": "only_new"}
BY_ITSELF = {"Idempotency-Key"}
COMPARED = {"photos"}  # are `one` and `other`


def answered(operation: dict[str, Any]) -> set[str]:
    """Return the names of all schemas that are in the answer of a call."""
    left = [each for status, each in operation["responses"].items() if status.startswith("2")]
    found: set[str] = set()
    while left:
        names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(left.pop()))) - found
        found |= names
        left += [SCHEMAS[name] for name in names]
    return found


ANSWERS = set[str]().union(*map(answered, CALLS.values())) - NOT_READ


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_an_answer_is_read_with_all_members(name: str) -> None:
    kind = NAMED.get(name) or getattr(client, name)
    known = {field.name for field in fields(kind)}
    assert set(SCHEMAS[name]["properties"]) - OTHERWISE.get(name, set()) <= known


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_takes_all_members_and_parameters(name: str) -> None:
    operation = CALLS[name]
    function = MADE_BY.get(name) or getattr(calls, name)
    taken = set(signature(function).parameters)
    if "person" in taken:
        taken |= {field.name for field in fields(client.NewEmployee)}
    sent = {each["name"] for each in operation.get("parameters", ())} - BY_ITSELF
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        sent |= set(SCHEMAS[body["schema"]["$ref"].rsplit("/")[-1]]["properties"])
    if name == "compare":
        sent -= COMPARED
    assert {PARAMETERS.get(each, each) for each in sent} <= taken
