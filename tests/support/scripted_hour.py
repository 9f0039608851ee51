"""An hour of a service's life: what a script does, what Prometheus reads, and which alerts fire."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Self

import requests

from testbed.alerts import MINUTE_S, RULES, Watch
from testbed.prometheus import Moment, Samples, counts, parse
from testbed.serving import ROOT, RunningService

SEARCHED = ("recognition", "search", "index", "store")


class Answer(NamedTuple):
    """An answer that the script expects, and all that is counted with it.

    outcome: of a login. distance: whether one was found.
    """

    endpoint: str
    status: int = 200
    code: str | None = None
    outcome: str | None = None
    stages: tuple[str, ...] = ()
    distance: bool = False


class Hour:
    """Sends requests and keeps count; a minute passes when `minute` is called.

    key: of an admin. service: what is asked. begun: the minute in which the fault of each alert
    began, by its name. fired: the minute in which each alert first fired, by its name.
    """

    def __init__(self, key: str) -> None:
        self.answers: Counter[Answer] = Counter()
        self.log_lines = 0  # of requests that the log must have
        self.now = 0
        self.watch = Watch()
        self.fired: dict[str, int] = {}
        self.begun: dict[str, int] = {}
        self._key = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._session = requests.Session()
        self.service: RunningService

    def runs(self, service: RunningService) -> None:
        """The service has started, and has counted nothing but what was asked while it did."""
        self.service = service
        self.answers.clear()

    def stick(self) -> Self:
        """Send all that follows over a new connection, to one worker."""
        self._session.close()
        self._session = requests.Session()
        self._session.trust_env = False
        return self

    def call(
        self,
        expected: Answer,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a request, and count the answer, which must be as expected."""
        url = self.service.url + path
        sent = self._key | dict(headers or {})
        answer = self._session.request(method, url, json=body, headers=sent, timeout=30)
        assert answer.status_code == expected.status, (expected, answer.text)
        assert expected.code is None or answer.json()["code"] == expected.code, answer.text
        self.count(expected)

    def count(self, answer: Answer) -> None:
        """Count an answer that came in another way."""
        self.answers[answer] += 1
        is_probe = answer.endpoint in ("metrics", "healthz")
        self.log_lines += not is_probe and answer.code != "overloaded"

    def begins(self, *alerts: str) -> None:
        """Say that a fault begins now, for which these alerts are."""
        for alert in alerts:
            self.begun.setdefault(alert, self.now)

    def scrape(self) -> Samples:
        """Read /metrics as Prometheus does."""
        headers = self._key | {"Accept": "application/openmetrics-text;version=1.0.0"}
        answer = self._session.get(self.service.url + "/metrics", headers=headers, timeout=30)
        assert answer.status_code == 200
        samples = parse(answer.text)
        self.count(Answer("metrics"))  # it has not counted itself
        return samples

    def minute(self, *, away: bool = False) -> Samples:
        """Read /metrics at the end of a minute, and evaluate the alerts. away: nothing answers."""
        samples = {} if away else self.scrape()
        self.watch.read(Moment(MINUTE_S * self.now, samples))
        for name, _ in self.watch.firing:
            self.fired.setdefault(name, self.now)
        self.now += 1
        return samples

    def lateness(self) -> dict[str, int]:
        """Minutes from each fault to its alert, beyond those for which it has to hold."""
        return {
            name: minute - self.begun[name] - RULES[name].patience
            for name, minute in self.fired.items()
        }

    def expected(self) -> dict[str, dict[str, int]]:
        """What the counters must say, by their names and by the values of their labels."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for answer, times in self.answers.items():
            counts["requests_total"][f"{answer.endpoint}/{answer.status}"] += times
            counts["request_seconds_count"][answer.endpoint] += times
            if answer.code:
                counts["errors_total"][answer.code] += times
            if answer.outcome:
                counts["logins_total"][f"identification/{answer.outcome}"] += times
            if answer.distance:
                counts["login_distance_count"][""] += times
            for stage in answer.stages:
                counts["stage_seconds_count"][stage] += times
        return {name: dict(found) for name, found in counts.items()}


# The script does not know how often the start asked for /readyz.
counted = partial(counts, without=("readyz", "not_ready"))


def check_log(log: str, requests: int) -> None:
    """One line for each request, whose members are all documented; the last one is the end."""
    page = (ROOT / "docs/logging.md").read_text()
    documented = set(re.findall(r"`(\w+)`", page))
    lines = [json.loads(line) for line in log.splitlines()]
    told = [line for line in lines if line["event"] == "request" and "readyz" not in line["path"]]
    assert len(told) == requests
    for line in told:
        assert {*line} <= documented, line
        assert (line["level"] == "warning") is (line["status"] >= 500)
        assert "employee_id" not in line or line["status"] == 200
    assert lines[-1]["event"] == "stopped"
