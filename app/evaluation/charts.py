"""Draw charts as SVG that stands in the page itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

import numpy as np
from markupsafe import Markup, escape

from app.evaluation.rates import Distances, curve

# Okabe and Ito's colours, which colour-blind people tell apart
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#444"
_WIDTH, _HEIGHT = 580, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 16, 52
_HEADROOM = 1.4  # of a histogram, for its legend
_DASHES = (("│", "none"), ("┆", "6 4"))  # the first line of a chart, and the second one

Point = tuple[float, float]
Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Experiment:
    """Distances to draw a curve of."""

    name: str
    mated: Distances
    non_mated: Distances


def det(experiments: Sequence[Experiment], alpha: float) -> Markup:
    """Draw the detection error trade-off of each experiment on logarithmic axes, with α."""
    least_x = _decade(1 / max(len(e.non_mated) for e in experiments))
    least_y = _decade(1 / max(len(e.mated) for e in experiments))
    across = _logarithmic(least_x, 1, _LEFT, _WIDTH - _RIGHT)
    down = _logarithmic(least_y, 1, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(across, down, _decades(least_x), _decades(least_y), _percent, _percent)]
    highest = max(float(_finite(e.mated, e.non_mated).max(initial=1)) for e in experiments)
    thresholds, drawn = np.linspace(0, highest, 1_501), 0
    for colour, each in zip(_COLOURS, experiments, strict=False):
        wrong, missed = curve(each.mated, each.non_mated, thresholds)
        shown = (wrong > 0) & (missed > 0)
        points = [(across(x), down(y)) for x, y in zip(wrong[shown], missed[shown], strict=True)]
        parts.append(_line(points, colour))
        (x,), (y,) = curve(each.mated, each.non_mated, np.array([alpha]))
        if x > 0 and y > 0:
            parts.append(_svg("circle", cx=across(x), cy=down(y), r=5, fill=colour))
        drawn += len(points)
    if not drawn:
        parts.append(_text("no errors to draw", across(least_x**0.5), down(least_y**0.5), "middle"))
    names = zip((each.name for each in experiments), _COLOURS, strict=False)
    parts.append(_legend([*names, (f"● α {alpha:g}", _GREY)], _WIDTH - _RIGHT - 8, "end"))
    title = "Detection error trade-off"
    return _chart(title, parts, "strangers accepted (FMR, FPIR)", "people rejected (FNMR, FNIR)")


def histogram(mated: Distances, non_mated: Distances, alphas: dict[str, float]) -> Markup:
    """Draw how distances are spread, with a line for each α. alphas: name → α."""
    finite = _finite(mated, non_mated)
    highest = max(1.0, float(finite.max(initial=0)))
    edges = np.linspace(0, highest, 81)
    shares = []
    for distances in (mated, non_mated):
        counts, _ = np.histogram(distances[np.isfinite(distances)], edges)
        shares.append(counts / max(1, len(distances)))
    top = max(float(share.max()) for share in shares) or 1.0
    across = _linear(0, highest, _LEFT, _WIDTH - _RIGHT)
    down = _linear(0, top * _HEADROOM, _HEIGHT - _BOTTOM, _TOP)
    ticks = [float(tick) for tick in np.arange(0, highest + 1e-9, _round_step(highest / 10))]
    rows = [float(row) for row in np.arange(0, top * _HEADROOM, _round_step(top / 4))]
    parts = [_grid(across, down, ticks, rows, lambda x: f"{x:.1f}", _percent)]
    for colour, share in zip(_COLOURS, shares, strict=False):
        steps: list[Point] = [(across(0), down(0))]
        for low, high, value in zip(edges[:-1], edges[1:], share, strict=True):
            steps += [(across(low), down(value)), (across(high), down(value))]
        steps.append((across(highest), down(0)))
        parts.append(_svg("path", d=_path(steps), fill=colour, fill_opacity=0.3, stroke=colour))
    kinds = (f"■ same person ({len(mated):,})", f"■ different people ({len(non_mated):,})")
    legend = [*zip(kinds, _COLOURS, strict=False)]
    for (name, alpha), (line, dashes) in zip(alphas.items(), _DASHES, strict=False):
        x = across(alpha)
        ends = {"x1": x, "x2": x, "y1": down(0), "y2": _TOP}
        parts.append(_svg("line", stroke="#222", stroke_dasharray=dashes, **ends))
        legend.append((f"{line} {name} {alpha:g}", _GREY))
    parts.append(_legend(legend, _LEFT + 8, "start"))
    return _chart("Distances", parts, "distance", "share of comparisons")


def _chart(title: str, parts: Iterable[Markup], across: str, down: str) -> Markup:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    turned = Markup(f'<g transform="translate(14 {middle:.0f}) rotate(-90)">')  # noqa: S704
    return Markup("").join(
        (
            Markup(
                '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" '
                'aria-label="{}">'
            ).format(_WIDTH, _HEIGHT, title),
            *parts,
            _text(across, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, "middle"),
            turned,
            _text(down, 0, 0, "middle"),
            Markup("</g></svg>"),
        )
    )


def _grid(
    across: Scale,
    down: Scale,
    columns: Sequence[float],
    rows: Sequence[float],
    column_name: Callable[[float], str],
    row_name: Callable[[float], str],
) -> Markup:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    lines = []
    for column in columns:
        x = across(column)
        lines.append(_svg("line", x1=x, x2=x, y1=_TOP, y2=bottom, stroke="#ddd"))
        lines.append(_text(column_name(column), x, bottom + 16, "middle"))
    for row in rows:
        y = down(row)
        lines.append(_svg("line", x1=_LEFT, x2=right, y1=y, y2=y, stroke="#ddd"))
        lines.append(_text(row_name(row), _LEFT - 6, y + 4, "end"))
    return Markup("").join(lines)


def _legend(names: Sequence[tuple[str, str]], x: float, anchor: str) -> Markup:
    """Write names, each in the colour of what it names, one below the other."""
    return Markup("").join(
        _text(name, x, _TOP + 16 + 18 * number, anchor, colour)
        for number, (name, colour) in enumerate(names)
    )


def _line(points: Sequence[Point], colour: str) -> Markup:
    if not points:
        return Markup("")
    return _svg("path", d=_path(points), fill="none", stroke=colour, stroke_width=2)


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _text(words: str, x: float, y: float, anchor: str, colour: str = _GREY) -> Markup:
    start = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}">')
    return start.format(x, y, anchor, colour) + escape(words) + Markup("</text>")


def _svg(name: str, **attributes: str | float) -> Markup:
    values = Markup(" ").join(
        Markup('{}="{}"').format(
            key.replace("_", "-"), round(value, 1) if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{} {}/>").format(Markup(name), values)  # noqa: S704  our own names


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    linear = _linear(log10(low), log10(high), start, end)
    return lambda value: linear(log10(max(value, low)))


def _round_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least this."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)


def _decade(value: float) -> float:
    return float(10.0 ** min(-1, floor(log10(value))))


def _decades(least: float) -> list[float]:
    return [10.0**power for power in range(round(log10(least)), 1)]


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _finite(*arrays: Distances) -> Distances:
    together = np.concatenate(arrays)
    finite: Distances = together[np.isfinite(together)]
    return finite
