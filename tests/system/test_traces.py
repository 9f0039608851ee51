"""Each request is a span at the collector, with a child for each stage, in its caller's trace."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.prometheus import parse, value
from testbed.serving import RunningService, free_port
from tests.support import sent_photos as photos
from tests.support.collector import Collector, Span
from tests.support.waiting import eventually
from tools.liveness_service import LivenessService

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEPT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
LOGIN, STORE = "POST /api/find_match", "POST /api/store/<id:employee_id>"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, liveness: LivenessService
) -> Iterator[RunningService]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "LIVENESS_SERVICE_URL": liveness.url,
        "LOG_FORMAT": "json",
    }
    with RunningService(tmp_path_factory.mktemp("traced"), **settings) as service:
        ada = {"name": "Ada", "surname": "Lovelace", "img_base64": photos.astronaut()}
        assert service.call("POST", "/api/store/777777777", json=ada).status_code == 200
        yield service


def log_in(service: RunningService, **headers: str) -> dict[str, Any]:
    """Log in with liveness; the request's log line."""
    frames = [photos.astronaut_again()] * 15
    body = {"img_base64": photos.astronaut(), "liveness": True, "frames": frames}
    answer = service.call("POST", "/api/find_match", json=body, headers=headers)
    assert answer.status_code == 200
    lines = map(json.loads, service.log.splitlines())
    wanted = answer.headers["X-Request-ID"], "request"
    (line,) = [each for each in lines if (each.get("request_id"), each["event"]) == wanted]
    return dict(line)


def facts(span: Span) -> dict[str, str]:
    """The attributes of a span."""
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def test_a_login_is_a_span_with_its_stages(
    service: RunningService, collector: Collector, liveness: LivenessService
) -> None:
    line = log_in(service, **KEPT)
    assert line["trace_id"] == TRACE
    (own,) = [s for s in collector.wait(LOGIN) if s["traceId"] == TRACE]
    assert (own["parentSpanId"], own["kind"]) == (CALLER, 2)
    assert facts(own) == {
        "http.request.method": "POST",
        "http.route": "/api/find_match",
        "http.response.status_code": "200",
    }
    below = [span for span in collector.spans() if span.get("parentSpanId") == own["spanId"]]
    assert {span["name"] for span in below} == {
        *("recognition", "search", "index", "store", "liveness")
    }
    for span in [own, *below]:
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert span["traceId"] == TRACE
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert int(own["startTimeUnixNano"]) - 1e6 <= int(span["startTimeUnixNano"])
        assert int(span["endTimeUnixNano"]) <= int(own["endTimeUnixNano"]) + 1e6
    assert abs(int(own["endTimeUnixNano"]) / 1e9 - time.time()) < 20
    told = liveness.headers["traceparent"]
    assert told == f"00-{TRACE}-{own['spanId']}-01"


def test_a_request_without_a_trace_begins_one(
    service: RunningService, collector: Collector
) -> None:
    line = log_in(service)
    found = eventually(lambda: [s for s in collector.spans() if s["traceId"] == line["trace_id"]])
    assert [span["name"] for span in found if "parentSpanId" not in span] == [LOGIN]


def test_no_span_tells_who_and_an_error_tells_its_code(
    service: RunningService, collector: Collector
) -> None:
    assert service.call("POST", "/api/store/777777777", json={"name": "A"}).status_code == 400
    collector.wait(STORE, 2)
    codes = [facts(span).get("error.type") for span in collector.wait(STORE, 2)]
    assert codes == [None, "bad_request"]
    text = json.dumps(collector.messages)
    for word in ("777777777", "Ada", "Lovelace"):
        assert word not in text
    assert {*collector.paths} == {"/v1/traces"}


def test_what_the_caller_does_not_keep_is_not_sent_and_probes_are_not_either(
    service: RunningService, collector: Collector
) -> None:
    other = "a" * 32
    log_in(service, traceparent=f"00-{other}-{CALLER}-00")
    service.call("GET", "/healthz")
    log_in(service)  # sent later, so the others would be there by then
    time.sleep(1.5)
    assert other not in {span["traceId"] for span in collector.spans()}
    assert not [span for span in collector.spans() if span["name"].startswith("GET /")]


def test_the_distance_of_a_login_names_its_trace(service: RunningService) -> None:
    log_in(service, **KEPT)
    accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"}
    answer = service.call("GET", "/metrics", headers=accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    parse(answer.text)
    (shown,) = re.findall(r"^image_registration_login_distance_bucket.* # (.*)$", answer.text, re.M)
    assert re.fullmatch(rf'{{trace_id="{TRACE}"}} 0\.\d+ \d+\.\d+', shown)
    assert "# {" not in service.call("GET", "/metrics").text


def test_a_collector_that_is_away_costs_nobody_anything(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with RunningService(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=away, LOG_LEVEL="info") as service:
        dropped, deadline = 0.0, time.monotonic() + 10
        while dropped < 4:
            assert time.monotonic() < deadline
            began = time.monotonic()
            assert service.call("GET", "/api/get_all/1/1").status_code == 200
            assert time.monotonic() - began < 1
            time.sleep(0.7)
            read = parse(service.call("GET", "/metrics").text)
            dropped = value(read, "image_registration_traces_dropped_total")
        assert service.log.count("traces cannot be sent") == 1


def test_the_last_spans_are_sent_when_the_service_ends(tmp_path: Path) -> None:
    with (
        Collector() as collector,
        RunningService(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as service,
    ):
        assert service.call("GET", "/api/get_all/1/1").status_code == 200
        service.stop()
        assert len(list(collector.spans())) == 2
