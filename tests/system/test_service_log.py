"""What the log says of requests, and of the end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from testbed.serving import RunningService
from tests.support import sent_photos as photos

FIND = "/api/find_match"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(tmp_path, LOG_FORMAT="json", LOG_LEVEL="info") as service:
        ada = {"name": "Ada", "surname": "Lovelace", "img_base64": photos.astronaut()}
        assert service.call("POST", "/api/store/7777", json=ada).status_code == 200
        yield service


def lines(service: RunningService, **members: object) -> list[dict[str, Any]]:
    """The log lines with these members."""
    found = [json.loads(line) for line in service.log.splitlines()]
    return [line for line in found if members.items() <= line.items()]


def log_in(service: RunningService, photo: str, **headers: str) -> list[dict[str, Any]]:
    """Every line about a login."""
    headers = {name.replace("_", "-"): text for name, text in headers.items()}
    answer = service.call("POST", FIND, json={"img_base64": photo}, headers=headers)
    return lines(service, request_id=answer.headers["X-Request-ID"])


def test_a_login_is_one_line(service: RunningService) -> None:
    (line,) = log_in(service, photos.astronaut_again())
    assert (line["event"], line["status"], line["employee_id"]) == ("request", 200, 7777)
    assert 0 <= line["distance"] < 0.8
    assert 0 < line["recognition_ms"] + line["search_ms"] <= line["ms"] + 0.1
    assert "needed_below" not in line


def test_a_refused_login_says_what_was_missing_and_not_who(service: RunningService) -> None:
    (line,) = log_in(service, photos.admiral())
    assert (line["status"], line["code"]) == (406, "no_match")
    assert line["distance"] >= line["needed_below"] == 0.8
    assert "employee_id" not in line
    assert "7777" not in json.dumps(line)


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-more", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        ("\u00e9" * 5000, None),
    ],
)
def test_the_trace_of_the_caller_is_logged(
    service: RunningService, traceparent: str, trace_id: str | None
) -> None:
    answer = service.call("GET", "/api/get_all/1/1", headers={"traceparent": traceparent})
    (line,) = lines(service, request_id=answer.headers["X-Request-ID"])
    assert line.get("trace_id") == trace_id


def test_a_503_is_a_warning(service: RunningService, tmp_path: Path) -> None:
    (tmp_path / "employees.db").rename(tmp_path / "aside.db")
    answer = service.call("GET", "/api/get_all/1/1")
    assert answer.status_code == 503
    (line,) = lines(service, request_id=answer.headers["X-Request-ID"])
    assert (line["level"], line["code"]) == ("warning", "store_unavailable")
    assert "employees.db" in line["cause"]


def test_the_end_is_logged(service: RunningService) -> None:
    service.stop()
    assert json.loads(service.log.splitlines()[-1])["event"] == "stopped"
    assert len(lines(service, event="stopped")) == 1


def test_overload_is_summed_up(tmp_path: Path) -> None:
    settings = {"THREADS": "2", "LOG_FORMAT": "json", "LOG_LEVEL": "info"}
    with RunningService(tmp_path, **settings) as service, ThreadPoolExecutor(16) as crowd:
        body = {"img_base64": photos.admiral()}
        answers = crowd.map(lambda _: service.call("POST", FIND, json=body).status_code, range(80))
        refused = list(answers).count(503)
        assert refused > 10
        told = lines(service, event="overloaded: logins or enrolments were refused")
        assert {line["level"] for line in told} == {"warning"}
        assert 1 <= len(told) <= 3
        assert lines(service, event="request", code="overloaded") == []
