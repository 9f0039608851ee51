"""The rules of openshift/monitoring/alerts.yaml, evaluated as Prometheus does, by the minute."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from testbed.prometheus import Labels, Moment, Query
from testbed.serving import ROOT

FILE = ROOT / "openshift/monitoring/alerts.yaml"
MINUTE_S = 60.0

Alert = tuple[str, Labels]
"""A rule's name, and the labels of a series for which it holds."""


class Rule(NamedTuple):
    """A rule. patience: minutes for which the expression has to hold before the alert fires."""

    expression: str
    patience: int
    severity: str
    runbook: str


def _rule(given: dict[str, Any]) -> Rule:
    patience = int(given.get("for", "0m").removesuffix("m"))
    runbook = given["annotations"]["runbook"]
    return Rule(given["expr"], patience, given["labels"]["severity"], runbook)


RULES = {
    rule["alert"]: _rule(rule)
    for group in yaml.safe_load(FILE.read_text())["spec"]["groups"]
    for rule in group["rules"]
}


class Watch:
    """Evaluates all rules after each minute. firing: the alerts that fire now."""

    def __init__(self) -> None:
        self.history: list[Moment] = []
        self.firing: set[Alert] = set()
        self._held: dict[Alert, int] = {}

    def read(self, moment: Moment) -> None:
        """Take what Prometheus has read in the next minute."""
        self.history.append(moment)
        active = holding(self.history)
        self._held = {alert: self._held.get(alert, 0) + 1 for alert in active}
        self.firing = {
            alert for alert, held in self._held.items() if held > RULES[alert[0]].patience
        }


def holding(history: Sequence[Moment]) -> set[Alert]:
    """The alerts whose expression holds at the end of the history, however long."""
    return {
        (name, labels)
        for name, rule in RULES.items()
        for labels in Query(rule.expression).evaluate(history)
    }
