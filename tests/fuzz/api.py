"""What the OpenAPI description allows, and what it does not, sent by schemathesis."""

from contextlib import suppress
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

# Parts that are not set up in tests: a request that needs one gets a 503.
NOT_HERE = {"liveness_unavailable", "no_fraud_detection"}
CONFORMANCE = [status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("application/x-ndjson")
def _lines(context: object, text: Any) -> bytes:  # noqa: ANN401
    """Send any value as the text of a body."""
    return text if isinstance(text, bytes) else str(text).encode(errors="replace")


@schemathesis.deserializer("application/x-ndjson")
def _text(context: object, response: Any) -> str:  # noqa: ANN401
    """Read an answer of lines as text."""
    return str(response.content.decode())


def fuzz_api(app: Flask, examples: int, seed: int) -> int:
    """Send so many requests to each operation; how many were sent. Raises what does not conform."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    return sum(
        _fuzz_operation(result.ok(), mode, examples // 2, seed)
        for result in schema.get_all_operations()
        for mode in GenerationMode
    )


def _fuzz_operation(operation: Any, mode: GenerationMode, examples: int, number: int) -> int:  # noqa: ANN401
    sent = 0

    @seeded(number)
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:  # noqa: ANN401
        nonlocal sent
        sent += 1
        response = case.call(headers={"Accept": "application/json"})
        if response.status_code >= 500:
            assert response.json()["code"] in NOT_HERE, response.text
        case.validate_response(response, checks=CONFORMANCE)

    with suppress(Unsatisfiable):  # there is no wrong way to ask for what takes no parameter
        send()
    return sent
