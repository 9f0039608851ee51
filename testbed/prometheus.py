"""Read what /metrics answers, and evaluate the few expressions of Prometheus that alerts use."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from app.metrics import PREFIX

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
"""Values by labels."""
Samples = dict[str, Vector]
"""Vectors by the metrics' names."""

_SAMPLE = re.compile(
    r"([a-z_]+)(?:\{(.*)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)(?: # \{trace_id=\S+\} \S+ \S+)?"
)
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)",?')
_TOKEN = re.compile(r'\s*([a-z_]+|[0-9.]+[a-z]?|"[^"]*"|=~|[-/><=(){}\[\],])')
_END = "# EOF"  # of OpenMetrics
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse(text: str) -> Samples:
    """Return the samples of a text in the plain format or in OpenMetrics. Fail if it is malformed.

    The exemplars are left out.
    """
    samples: Samples = defaultdict(dict)
    declared: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.removesuffix(f"{_END}\n").splitlines():
        if line.startswith("#"):
            _, keyword, name, rest = line.split(" ", 3)
            assert (keyword, rest) == ("HELP", rest) or name not in declared, line
            if keyword == "TYPE":
                declared[name] = rest
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, inside, value = match.groups()
        labels = frozenset(_LABEL.findall(inside or ""))
        assert _LABEL.sub("", inside or "") == "", line
        family = re.sub("_(bucket|sum|count)$", "", name)
        family = family if family in declared else name.removesuffix("_total")
        assert name in declared or declared[family] in ("histogram", "counter"), line
        assert labels not in samples[name], line
        samples[name][labels] = float(value)
    return dict(samples)


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the value of one series."""
    return samples[name][frozenset(labels.items())]


def counts(samples: Samples, metric: str, without: tuple[str, ...] = ()) -> dict[str, float]:
    """Return the counts above 0 of a metric of the service, by the values of their labels.

    without: how the values begin that are left out.
    """
    found = {
        "/".join(text for _, text in sorted(labels)): number
        for labels, number in samples[f"{PREFIX}_{metric}"].items()
        if number
    }
    return {labels: n for labels, n in found.items() if not labels.startswith(without)}


class Moment(NamedTuple):
    """What was read at a time, in seconds."""

    time: float
    samples: Samples


class Query:
    """An expression: sums, rates and quantiles of selected series, compared with one another."""

    def __init__(self, expression: str) -> None:
        self._tokens = _TOKEN.findall(expression)
        assert "".join(self._tokens) == re.sub(r"\s", "", expression), expression
        self.names = re.findall(r"image_registration_\w+", expression)
        self._history: Sequence[Moment] = ()

    def holds(self, history: Sequence[Moment]) -> bool:
        """Return whether an alert with this expression is active at the end of the history."""
        return bool(self.evaluate(history))

    def evaluate(self, history: Sequence[Moment]) -> Vector:
        """Return the result at the end of the history."""
        self._history, self._next = history, 0
        result = self._conjunction()
        assert self._next == len(self._tokens), self._tokens[self._next :]
        return result

    def _take(self, *expected: str) -> str:
        token = self._tokens[self._next]
        assert not expected or token in expected, f"{token}, not {expected}"
        self._next += 1
        return str(token)

    def _peek(self) -> str:
        return str(self._tokens[self._next]) if self._next < len(self._tokens) else ""

    def _conjunction(self) -> Vector:
        left = self._comparison()
        while self._peek() == "and":
            self._take()
            right = self._comparison()
            left = {labels: number for labels, number in left.items() if labels in right}
        return left

    def _comparison(self) -> Vector:
        left = self._quotient()
        if self._peek() not in (">", "<"):
            return left
        is_greater = self._take() == ">"
        right = self._quotient()
        return {
            labels: number
            for labels, number in left.items()
            for other in [right.get(labels, right.get(frozenset(), math.nan))]
            if (number > other if is_greater else number < other)
        }

    def _quotient(self) -> Vector:
        left = self._operand()
        while self._peek() == "/":
            self._take()
            right = self._operand()
            left = {
                labels: number / right[labels] if right[labels] else math.nan
                for labels, number in left.items()
                if labels in right
            }
        return left

    def _operand(self) -> Vector:
        token = self._take()
        if token[0].isdigit():
            return {frozenset(): float(token)}
        if token in ("sum", "max", "min"):
            return self._aggregate({"sum": sum, "max": max, "min": min}[token])
        if token in ("rate", "increase", "absent", "histogram_quantile"):
            self._take("(")
            result = getattr(self, f"_{token}")()
            self._take(")")
            return dict(result)
        return _select(self._history[-1].samples, token, _matching(self._matchers()))

    def _aggregate(self, combine: Callable[[Iterable[float]], float]) -> Vector:
        kept: set[str] = set()
        if self._peek() == "by":
            self._take()
            self._take("(")
            kept.add(self._take())
            while self._take(",", ")") == ",":
                kept.add(self._take())
        self._take("(")
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, number in self._comparison().items():
            groups[frozenset(pair for pair in labels if pair[0] in kept)].append(number)
        self._take(")")
        return {labels: combine(numbers) for labels, numbers in groups.items()}

    def _rate(self) -> Vector:
        return self._increase(per_second=True)

    def _increase(self, per_second: bool = False) -> Vector:
        name, matches = self._take(), _matching(self._matchers())
        self._take("[")
        duration = self._take()
        self._take("]")
        seconds = float(duration[:-1]) * _SECONDS[duration[-1]]
        since = self._history[-1].time - seconds
        rows = [_select(m.samples, name, matches) for m in self._history if m.time >= since]
        risen: Vector = defaultdict(float)
        for before, after in pairwise(rows):
            for labels in before.keys() & after.keys():
                rise = after[labels] - before[labels]
                risen[labels] += rise if rise >= 0 else after[labels]  # it began anew
        return {labels: rise / (seconds if per_second else 1) for labels, rise in risen.items()}

    def _absent(self) -> Vector:
        return {} if self._comparison() else {frozenset(): 1.0}

    def _histogram_quantile(self) -> Vector:
        share = float(self._take())
        self._take(",")
        groups: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
        for labels, count in self._comparison().items():
            bound = float(dict(labels)["le"])
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            groups[rest].append((bound, count))
        return {labels: _quantile(share, sorted(buckets)) for labels, buckets in groups.items()}

    def _matchers(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        if self._peek() == "{":
            self._take()
            while self._peek() != "}":
                label, operator, text = self._take(), self._take("=", "=~"), self._take()
                found[label] = operator, text.strip('"')
                if self._peek() == ",":
                    self._take()
            self._take("}")
        return found


def _matching(matchers: Mapping[str, tuple[str, str]]) -> Callable[[Labels], bool]:
    @cache
    def matches(labels: Labels) -> bool:
        given = dict(labels)
        return all(
            given.get(label, "") == wanted
            if operator == "="
            else bool(re.fullmatch(wanted, given.get(label, "")))
            for label, (operator, wanted) in matchers.items()
        )

    return matches


def _select(samples: Samples, name: str, matches: Callable[[Labels], bool]) -> Vector:
    return {labels: n for labels, n in samples.get(name, {}).items() if matches(labels)}


def _quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return the quantile of cumulative counts by bound, interpolated like Prometheus does."""
    rank = share * buckets[-1][1]
    if not rank:
        return math.nan
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower
