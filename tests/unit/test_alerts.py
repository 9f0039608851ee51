"""Each alert fires on its fault, and none without one. Metrics are made up, minute by minute."""

from collections.abc import Callable
from time import monotonic

import pytest

from app.metrics import Metrics
from testbed.alerts import MINUTE_S, RULES, Watch, holding
from testbed.prometheus import Moment, Query, parse
from testbed.serving import ROOT
from tools import dashboard

AGE = "gallery_age_seconds"
Gauges = dict[str, float]
Fault = Callable[[Metrics, Gauges], None]


def logins(metrics: Metrics, outcome: str, count: int, seconds: float = 0.1) -> None:
    for _ in range(count):
        metrics.acted("login", outcome, {"distance": 0.5})
        status = 200 if outcome == "ok" else 406
        metrics.answered("find_match", status, None if outcome == "ok" else "no_match", seconds, {})


def verifications(metrics: Metrics, outcome: str, count: int, seconds: float = 0.1) -> None:
    for _ in range(count):
        metrics.acted("verify", outcome, {"distance": 0.5})
        code = None if outcome == "ok" else outcome
        metrics.answered("verifications", 406 if code else 200, code, seconds, {})


def calm(metrics: Metrics, gauges: Gauges) -> None:
    """A minute with errors, but no more than there are on any day."""
    gauges |= {"info": 1, "fpir": 0.004, "max_fpir": 0.01, AGE: 5}
    logins(metrics, "ok", 40)
    logins(metrics, "no_match", 10)
    logins(metrics, "fraud_suspected", 1)
    metrics.answered("find_match", 400, "bad_request", 0.01, {})
    metrics.answered("readyz", 200, None, 0.01, {})


def refused(code: str, status: int = 503, count: int = 10, endpoint: str = "find_match") -> Fault:
    def fault(metrics: Metrics, gauges: Gauges) -> None:
        for _ in range(count):
            metrics.answered(endpoint, status, code, 0.2, {})

    return fault


def a_part_is_away(code: str) -> tuple[str, Fault, set[str]]:
    return "PartUnavailable", refused(code), {"LoginsFail"}


def workers_start(metrics: Metrics, gauges: Gauges) -> None:
    metrics.begin_worker()


# Alert, fault, and other alerts that the fault causes as well.
FAULTS: list[tuple[str, Fault, set[str]]] = [
    ("NothingAnswers", lambda metrics, gauges: gauges.clear(), set()),
    a_part_is_away("store_unavailable"),
    a_part_is_away("index_unavailable"),
    a_part_is_away("liveness_unavailable"),
    a_part_is_away("audit_unavailable"),
    ("LoginsFail", refused("not_ready"), set()),
    ("LoginsFail", refused("not_ready", endpoint="verifications"), set()),
    ("LoginsFail", refused("not_ready", endpoint="identifications"), set()),
    ("UnexpectedErrors", refused("internal_error", 500, 1), set()),
    ("Overloaded", refused("overloaded"), {"LoginsFail"}),
    ("LoginsAreSlow", lambda metrics, gauges: logins(metrics, "ok", 10, 4.0), set()),
    ("LoginsAreSlow", lambda metrics, gauges: verifications(metrics, "ok", 10, 4.0), set()),
    ("StrangersGetIn", lambda metrics, gauges: gauges.update(fpir=0.02), set()),
    ("FewAreRecognised", lambda metrics, gauges: logins(metrics, "no_match", 200), set()),
    (
        "FewAreRecognised",
        lambda metrics, gauges: verifications(metrics, "not_verified", 200),
        set(),
    ),
    ("ManyTricks", lambda metrics, gauges: verifications(metrics, "fraud_suspected", 10), set()),
    ("ManyTricks", lambda metrics, gauges: logins(metrics, "not_alive", 10), set()),
    ("WorkersDie", workers_start, set()),
    ("GalleryIsBehind", lambda metrics, gauges: gauges.update({AGE: 90}), set()),
]


def read(metrics: Metrics, gauges: Gauges, minute: int) -> Moment:
    """What Prometheus reads; nothing if there are no gauges, as of a service that is away."""
    if not gauges:
        return Moment(MINUTE_S * minute, {})
    age = gauges.pop(AGE, 0)
    metrics.watch(gallery_age_seconds=lambda: monotonic() - age)
    lines = [*metrics.lines(open_metrics=False)]
    for name, number in gauges.items():
        lines += [
            f"# HELP image_registration_{name} About.",
            f"# TYPE image_registration_{name} gauge",
            f"image_registration_{name} {number}",
        ]
    return Moment(MINUTE_S * minute, parse("\n".join([*lines, ""])))


@pytest.mark.parametrize(("alert", "fault", "others"), FAULTS)
def test_an_alert_fires_on_its_fault_and_not_before(
    alert: str, fault: Fault, others: set[str]
) -> None:
    metrics = Metrics()
    gauges: Gauges = {}
    watch = Watch()
    for minute in range(20):
        calm(metrics, gauges)
        watch.read(read(metrics, gauges, minute))
        assert watch.firing == set()
    assert holding(watch.history) == set()
    while alert not in {name for name, _ in watch.firing}:
        minute += 1
        assert minute < 50
        calm(metrics, gauges)
        fault(metrics, gauges)
        watch.read(read(metrics, gauges, minute))
        assert {name for name, _ in watch.firing} <= {alert, *others}
    assert minute >= 20 + RULES[alert].patience
    for after in range(1, 80, 4):
        calm(metrics, gauges)
        watch.read(read(metrics, gauges, minute + after))
    assert watch.firing == set()


def test_every_alert_has_its_fault() -> None:
    assert {alert for alert, _, _ in FAULTS} == set(RULES)


def test_a_quiet_night_is_no_alert() -> None:
    metrics = Metrics()
    history = [read(metrics, {"info": 1, AGE: 5}, minute) for minute in range(60)]
    logins(metrics, "no_match", 1)
    history.append(read(metrics, {"info": 1, AGE: 5}, 60))
    assert holding(history) == set()


@pytest.mark.parametrize("alert", RULES)
def test_each_alert_has_a_line_in_the_runbook(alert: str) -> None:
    page, _, anchor = RULES[alert].runbook.partition("#")
    assert anchor == alert.lower()
    assert f"\n### {alert}\n\n" in (ROOT / page).read_text()
    assert RULES[alert].severity in ("warning", "critical")


def test_the_dashboard_is_what_the_generator_makes() -> None:
    assert dashboard.FILE.read_text() == dashboard.text(), "run make dashboard"


@pytest.mark.parametrize("panel", dashboard.PANELS, ids=lambda panel: panel.title)
def test_every_panel_shows_something(panel: dashboard.Panel) -> None:
    metrics = Metrics()
    gauges: Gauges = {"threshold": 0.8, "gallery_employees": 3}
    history = []
    for minute in range(5):
        calm(metrics, gauges)
        metrics.answered("find_match", 200, None, 0.1, {"search": 0.01})
        history.append(read(metrics, gauges, minute))
    for query in panel.queries.values():
        assert Query(query).evaluate(history), query
