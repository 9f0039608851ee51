"""What is counted, and the text in which Prometheus reads it."""

import math
import os
import re

import pytest

from app.audit import AuditLog, AuditUnavailable, Fields
from app.metrics import Metrics
from app.metrics.cells import Cells
from app.metrics.families import OTHER, Counter, Histogram, gauge_lines
from testbed.prometheus import Samples, counts, parse, value
from testbed.serving import ROOT

LOGINS = "image_registration_logins_total"


def text(metrics: Metrics) -> str:
    return "\n".join([*metrics.lines(open_metrics=False), ""])


def samples(metrics: Metrics) -> Samples:
    return parse(text(metrics))


def test_every_series_is_there_from_the_start_and_zero() -> None:
    read = samples(Metrics())
    assert value(read, LOGINS, kind="verification", outcome="match") == 0
    assert {number for series in read.values() for number in series.values()} == {0}


def test_answers_are_counted() -> None:
    metrics = Metrics()
    metrics.answered("find_match", 200, None, 0.03, {"recognition": 0.02, "search": 0.001})
    metrics.answered("find_match", 429, "too_many_failures", 0.001, {})
    metrics.answered("readyz", 503, "store_unavailable", 1.5, {})
    read = samples(metrics)
    for endpoint, status in (("find_match", "200"), ("find_match", "429"), ("readyz", "503")):
        name = "image_registration_requests_total"
        assert value(read, name, endpoint=endpoint, status=status) == 1
    assert value(read, "image_registration_errors_total", code="store_unavailable") == 1
    assert value(read, LOGINS, kind="identification", outcome="throttled") == 1
    seconds = "image_registration_request_seconds"
    assert value(read, f"{seconds}_count", endpoint="find_match") == 2
    assert value(read, f"{seconds}_sum", endpoint="find_match") == pytest.approx(0.031)
    assert value(read, f"{seconds}_bucket", endpoint="find_match", le="0.025") == 1
    assert value(read, f"{seconds}_bucket", endpoint="find_match", le="0.05") == 2
    assert value(read, "image_registration_stage_seconds_count", stage="recognition") == 1


def test_logins_are_counted_as_the_audit_log_is_told() -> None:
    metrics = Metrics()
    metrics.acted("login", "ok", {"distance": 0.41, "employee_id": 7})
    metrics.acted("login", "ambiguous", {"distance": 0.61, "between": [7, 8]})
    metrics.acted("login", "no_face", {})
    metrics.acted("login", "no_match", {"distance": math.inf})
    metrics.acted("enrol", "ok", {"employee_id": 9})
    metrics.acted("verify", "ok", {"distance": 0.41, "employee_id": 7})
    metrics.acted("verify", "not_verified", {"distance": 1.1, "employee_id": 7})
    metrics.answered("verifications", 429, "too_many_failures", 0.01, {})
    read = samples(metrics)
    assert counts(read, "logins_total") == {
        "identification/match": 1,
        "identification/ambiguous": 1,
        "identification/no_face": 1,
        "identification/no_match": 1,
        "verification/match": 1,
        "verification/not_verified": 1,
        "verification/throttled": 1,
    }
    assert value(read, "image_registration_login_distance_count") == 2
    assert value(read, "image_registration_login_distance_bucket", le="0.5") == 1


def test_a_value_that_is_not_known_adds_no_series() -> None:
    metrics = Metrics()
    before = len(text(metrics).splitlines())
    metrics.answered("/etc/passwd", 418, "teapot", 0.1, {"dreaming": 0.1})
    metrics.acted("login", "surprise", {})
    assert len(text(metrics).splitlines()) == before
    name = "image_registration_requests_total"
    assert value(samples(metrics), name, endpoint=OTHER, status=OTHER) == 1
    assert value(samples(metrics), LOGINS, kind="identification", outcome=OTHER) == 1


def test_what_is_in_flight_rises_and_falls() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.request_began()
    metrics.request_ended()
    assert value(samples(metrics), "image_registration_requests_in_flight") == 2


def test_a_bound_counts_values_up_to_it() -> None:
    histogram = Histogram(Cells(), "d", "About.", (0.5, 1))
    for number in (0.5, 0.6, 1, 1.1):
        histogram.observe(number)
    counts = parse("\n".join([*histogram.lines(open_metrics=False), ""]))["d_bucket"]
    assert {dict(labels)["le"]: n for labels, n in counts.items()} == {
        "0.5": 1,
        "1.0": 3,
        "+Inf": 4,
    }


def test_labels_are_escaped() -> None:
    lines = list(gauge_lines("info", "About.", 1, {"model": 'a"b\\c\nd'}))
    assert lines[-1] == 'info{model="a\\"b\\\\c\\nd"} 1'
    assert len(parse("\n".join([*lines, ""]))["info"]) == 1


def test_more_numbers_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        Counter(Cells(), "c", "About.", {"label": list(map(str, range(3_000)))})


def test_a_worker_begins_with_nothing_in_flight_and_forgets_no_count() -> None:
    metrics = Metrics()
    metrics.request_began()
    metrics.answered("find_match", 200, None, 0.1, {})
    metrics.begin_worker()
    read = samples(metrics)
    assert value(read, "image_registration_requests_in_flight") == 0
    assert value(read, "image_registration_worker_starts_total") == 1
    name = "image_registration_requests_total"
    assert value(read, name, endpoint="find_match", status="200") == 1


def test_the_levels_of_a_worker_that_has_ended_are_forgotten() -> None:
    metrics = Metrics(2)
    if not (worker := os.fork()):
        metrics.begin_worker()
        metrics.request_began()
        os._exit(0)
    os.waitpid(worker, 0)
    name = "image_registration_requests_in_flight"
    assert value(samples(metrics), name) == 1
    metrics.worker_ended()
    assert value(samples(metrics), name) == 0
    assert value(samples(metrics), "image_registration_worker_starts_total") == 1


def test_every_code_of_the_api_pages_is_counted() -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("api.md", "api-v2.md")]
    sections = (page.partition("## Errors")[2].partition("\n## ")[0] for page in pages)
    rows = re.findall(r"^\| \d{3}.*\| (.*) \|$", "\n".join(sections), re.MULTILINE)
    codes = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    read = samples(Metrics())["image_registration_errors_total"]
    counted = {dict(labels)["code"] for labels in read}
    assert codes <= counted
    assert counted <= codes | {OTHER}


class FullDisk:
    """A sink of the audit log that takes nothing."""

    last = ""

    def append(self, fields: Fields) -> None:
        raise AuditUnavailable("the disk is full")

    def check(self) -> None:
        raise AuditUnavailable("the disk is full")


def test_a_login_that_cannot_be_audited_is_no_match() -> None:
    metrics = Metrics()
    audit = AuditLog(FullDisk(), metrics.acted)
    with pytest.raises(AuditUnavailable), audit.entry("login") as facts:
        facts["distance"] = 0.4
    outcomes = samples(metrics)["image_registration_logins_total"]
    assert {dict(labels)["outcome"] for labels, n in outcomes.items() if n} == {"audit_unavailable"}
