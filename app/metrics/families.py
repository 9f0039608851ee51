"""Counters, levels and histograms, and the text in which Prometheus reads them.

There are two formats: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4,
and https://prometheus.io/docs/specs/om/open_metrics_spec/, which has exemplars. All values of a
label are known beforehand, so a client cannot add series, and every series exists from the start
with the value 0.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

import numpy as np

from app.metrics.cells import Cells

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OTHER = "other"
"""Takes the place of a label's value that is not among the known ones."""

_TOTAL = "_total"
_EXEMPLAR = 6  # columns: when, the value, and 4 words of 32 bits, which are a trace id


class Family:
    """A metric: one series for each combination of its labels' values.

    labels: for each label, the values to expect. about: one sentence without a line break.
    """

    kind = "counter"
    _columns = 1

    def __init__(
        self, cells: Cells, name: str, about: str, labels: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        labels = labels or {}
        self.name = name
        self.about = about
        self._labels = tuple(labels)
        self._known = [{*values} for values in labels.values()]
        self._cells = cells
        self._first = {
            values: cells.reserve(self._columns, is_level=self.kind == "gauge")
            for values in product(*((*values, OTHER) for values in labels.values()))
        }

    def lines(self, *, open_metrics: bool) -> Iterator[str]:
        """Yield the lines of all series in the format OpenMetrics, or in the plain one."""
        name = self.name.removesuffix(_TOTAL) if open_metrics else self.name
        yield from _head(name, self.kind, self.about)
        for values, first in self._first.items():
            labels = dict(zip(self._labels, values, strict=True))
            yield from self._lines(labels, first, open_metrics)

    def _lines(self, labels: Mapping[str, str], first: int, open_metrics: bool) -> Iterator[str]:
        yield _line(self.name, labels, self._cells.totals(first, 1)[0])

    def _column(self, values: Sequence[str]) -> int:
        pairs = zip(values, self._known, strict=True)
        return self._first[tuple(value if value in known else OTHER for value, known in pairs)]


class Counter(Family):
    """A number that only rises."""

    def add(self, *values: str, amount: float = 1) -> None:
        """Count one, or `amount`. values: of the labels, in their order."""
        self._cells.add({self._column(values): amount})


class Level(Family):
    """A number that rises and falls, summed over all workers."""

    kind = "gauge"

    def add(self, amount: float) -> None:
        """Raise it, or lower it by a negative amount."""
        self._cells.add({self._column(()): amount})

    @property
    def number(self) -> float:
        """The sum over all workers."""
        return float(self._cells.totals(self._column(()), 1)[0])

    def put(self, number: float) -> None:
        """Say what it is in this worker."""
        self._cells.put(self._column(()), [number])


class Age(Level):
    """Seconds since something happened in the worker where that is longest ago.

    `put` takes when it happened, on the clock of time.monotonic, which all processes share; so the
    age of a worker that hangs rises, too. There is no series while no worker has put anything.
    """

    def _lines(self, labels: Mapping[str, str], first: int, open_metrics: bool) -> Iterator[str]:
        when = self._cells.of_each(first, 1)
        if when.any():
            yield _line(self.name, labels, time.monotonic() - when[when > 0].min())


class Histogram(Family):
    """How often a value was at most each of `bounds`, which ascend.

    has_exemplars: whether each bucket names the trace of its latest value.
    """

    kind = "histogram"

    def __init__(
        self,
        cells: Cells,
        name: str,
        about: str,
        bounds: Sequence[float],
        labels: Mapping[str, Sequence[str]] | None = None,
        *,
        has_exemplars: bool = False,
    ) -> None:
        self._bounds = tuple(map(float, bounds))
        self._buckets = len(bounds) + 1  # one above all bounds
        self._columns = self._buckets + 1  # and the sum
        self._has_exemplars = has_exemplars
        if has_exemplars:
            self._columns += self._buckets * _EXEMPLAR
        super().__init__(cells, name, about, labels)

    def observe(self, value: float, *values: str, trace_id: str | None = None) -> None:
        """Count a value. values: of the labels, in their order. trace_id: 32 hexadecimal digits."""
        first = self._column(values)
        bucket = bisect_left(self._bounds, value)
        self._cells.add({first + bucket: 1, first + self._buckets: value})
        if self._has_exemplars and trace_id:
            words = np.frombuffer(bytes.fromhex(trace_id), ">u4")
            self._cells.put(self._exemplar_column(first, bucket), [time.time(), value, *words])

    def _exemplar_column(self, first: int, bucket: int) -> int:
        return first + self._buckets + 1 + bucket * _EXEMPLAR

    def _lines(self, labels: Mapping[str, str], first: int, open_metrics: bool) -> Iterator[str]:
        totals = self._cells.totals(first, self._buckets + 1)
        counts = list(accumulate(totals[:-1]))
        shows_exemplars = self._has_exemplars and open_metrics
        for bucket, bound in enumerate((*map(str, self._bounds), "+Inf")):
            line = _line(f"{self.name}_bucket", {**labels, "le": bound}, counts[bucket])
            yield line + (self._exemplar(first, bucket) if shows_exemplars else "")
        yield _line(f"{self.name}_sum", labels, totals[-1])
        yield _line(f"{self.name}_count", labels, counts[-1])

    def _exemplar(self, first: int, bucket: int) -> str:
        """Return the latest exemplar of all workers, as the end of the bucket's line."""
        rows = self._cells.of_each(self._exemplar_column(first, bucket), _EXEMPLAR)
        when, value, *words = rows[rows[:, 0].argmax()]
        if not when:
            return ""
        trace_id = np.array(words, ">u4").tobytes().hex()
        return f' # {{trace_id="{trace_id}"}} {value:.15g} {when:.3f}'


def gauge_lines(
    name: str, about: str, value: float, labels: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the lines of a number that the answering process knows."""
    yield from _head(name, "gauge", about)
    yield _line(name, labels or {}, value)


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
