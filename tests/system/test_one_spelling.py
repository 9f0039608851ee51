"""Each thing has one address: other spellings are 404 or 400, do nothing, and redirect nowhere."""

import http.client
import json
from collections.abc import Iterator

import pytest

from testbed.serving import RunningService
from tests.support.features import random_vector

ENROLMENT = json.dumps({"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Grace is enrolled as 1."""
    with RunningService(tmp_path_factory.mktemp("spelling"), TRUSTED_PROXIES="1") as service:
        assert send(service, "POST", "/api/store/1")[0] == 200
        yield service


def send(service: RunningService, method: str, path: str) -> tuple[int, str]:
    """The path goes out as it is written. Status and text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", "elsewhere.example")
        connection.putheader("X-Forwarded-Host", "elsewhere.example")
        connection.putheader("X-Forwarded-Prefix", "/api")
        body = ENROLMENT.encode() if method in ("POST", "PUT") else b""
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        assert response.getheader("Location") is None
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/01"),
        ("DELETE", "/api/0000000000000000000000001"),
        ("DELETE", "/api/+1"),
        ("DELETE", "/api/1.0"),
        ("DELETE", "/api/1/"),
        ("DELETE", "/api/%31"),
        ("DELETE", "/api/%D9%A1"),
        ("DELETE", "/api/%EF%BC%91"),
        ("DELETE", "//api/1"),
        ("DELETE", "///api/1"),
        ("DELETE", "/api//1"),
        ("DELETE", "/api%2f1"),
        ("DELETE", "/api%2F1"),
        ("DELETE", "%2fapi/1"),
        ("DELETE", "/%61pi/1"),
        ("DELETE", "/./api/1"),
        ("DELETE", "/api/../api/1"),
        ("DELETE", "/API/1"),
        ("DELETE", "/api/1;x"),
        ("DELETE", "/api\\1"),
        ("DELETE", "/api/1%00"),
        ("DELETE", "/api/1%20"),
        ("POST", "/api/store/007"),
        ("POST", "/api/store/%D9%A7"),
        ("POST", "/api//store/7"),
        ("POST", "/api/store%2f7"),
        ("PUT", "/api/store/01"),
        ("GET", "/api/get_all//1/1"),
        ("GET", "//api/get_all/1/1"),
        ("GET", "/api/get_all%2F1%2F1"),
        ("GET", "/api/get_all/01/1"),
        ("GET", "/api/get_all/1/%31"),
        ("GET", "/api/get_all/1/%D9%A1"),
        ("GET", "/api/employees/0001/export"),
        ("GET", "/api//employees/1/export"),
        ("GET", "//elsewhere.example/api/get_all/1/1"),
        ("GET", "/healthz/"),
        ("GET", "//healthz"),
    ],
)
def test_another_spelling_is_refused(service: RunningService, method: str, path: str) -> None:
    status, text = send(service, method, path)
    assert status in (400, 404)
    assert len(text) < 100
    listed = json.loads(send(service, "GET", "/api/get_all/30/1")[1])["users"]
    assert [user["_id"] for user in listed] == [1]


@pytest.mark.parametrize("query", ["?", "?a=%2f//", "?//elsewhere.example/%31"])
def test_a_query_string_is_ignored(service: RunningService, query: str) -> None:
    assert send(service, "GET", "/api/get_all/1/1" + query)[0] == 200


def test_zero_is_a_valid_id(service: RunningService) -> None:
    assert send(service, "POST", "/api/store/0")[0] == 200
    assert send(service, "DELETE", "/api/0") == (200, "ok")
    assert send(service, "DELETE", "/api/00")[0] == 404
