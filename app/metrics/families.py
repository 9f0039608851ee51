"""Counters, levels and histograms, and the text in which Prometheus reads them.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. All
values of a label are known beforehand, so a client cannot add series, and every series exists from
the start with the value 0.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

from app.metrics.cells import Cells

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
"""Takes the place of a label's value that is not among the known ones."""


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

    def lines(self) -> Iterator[str]:
        """Yield the lines of all series."""
        yield from _head(self.name, self.kind, self.about)
        for values, first in self._first.items():
            labels = dict(zip(self._labels, values, strict=True))
            yield from self._lines(labels, list(self._cells.totals(first, self._columns)))

    def _lines(self, labels: Mapping[str, str], totals: list[float]) -> Iterator[str]:
        yield _line(self.name, labels, totals[0])

    def _column(self, values: Sequence[str]) -> int:
        pairs = zip(values, self._known, strict=True)
        return self._first[tuple(value if value in known else OTHER for value, known in pairs)]


class Counter(Family):
    """A number that only rises."""

    def add(self, *values: str) -> None:
        """Count one. values: of the labels, in their order."""
        self._cells.add({self._column(values): 1})


class Level(Family):
    """A number that rises and falls, summed over all workers."""

    kind = "gauge"

    def add(self, amount: float) -> None:
        """Raise it, or lower it by a negative amount."""
        self._cells.add({self._column(()): amount})


class Histogram(Family):
    """How often a value was at most each of `bounds`, which ascend."""

    kind = "histogram"

    def __init__(
        self,
        cells: Cells,
        name: str,
        about: str,
        bounds: Sequence[float],
        labels: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._bounds = tuple(bounds)
        self._columns = len(bounds) + 2  # one above all bounds, and the sum
        super().__init__(cells, name, about, labels)

    def observe(self, value: float, *values: str) -> None:
        """Count a value. values: of the labels, in their order."""
        first = self._column(values)
        total = first + self._columns - 1
        self._cells.add({first + bisect_left(self._bounds, value): 1, total: value})

    def _lines(self, labels: Mapping[str, str], totals: list[float]) -> Iterator[str]:
        counts = list(accumulate(totals[:-1]))
        for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
            yield _line(f"{self.name}_bucket", {**labels, "le": bound}, count)
        yield _line(f"{self.name}_sum", labels, totals[-1])
        yield _line(f"{self.name}_count", labels, counts[-1])


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
