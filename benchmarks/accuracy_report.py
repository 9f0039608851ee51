"""Show the figures of benchmarks.accuracy as a page and as a plot."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from app.evaluation.rates import Distances, curve

_PAGE = """\
# Accuracy of the model `{model}`

`make accuracy` generates this page, [accuracy.json]({stem}.json) and the plot. {photos:,} photos of
{people:,} people (Labeled Faces in the Wild, View 1, 250×250 pixels) go through the service's own
pipeline, decode → detect → align → embed, each once. α is {alpha:g} (`LOGIN_MATCH_THRESHOLD`);
distances are L2 distances of unit vectors times {scale:g}. Photos refused: {refused};
a refused photo matches nobody. Intervals are Wilson's.

## Verification (1:1)

The {mated} mated and {non_mated} non-mated pairs of `pairs_devtest`; none of these people are in
`pairs_devtrain`. *Every two people* compares each photo of these pairs with the photos of all
other people: {strangers:,} comparisons. They share photos, so an interval would be too narrow.

| | rate | count | 95 % interval |
|---|---:|---:|---:|
{verification}

| distances | mean | sd | 1 % | median | 99 % |
|---|---:|---:|---:|---:|---:|
{distances}

## Identification (1:N), as in a login

People with several photos are enrolled with one of them, and searched for with another one. One
photo of everybody else is searched for as well, as a stranger. A probe is taken for the nearest
person of the gallery if the distance is below α: the normalised one of a login, or the plain one
([matching](matching.md)). FPIR is the share of strangers who are let in, FNIR that of employees who
are not recognised. Galleries of 10, 100 and 1,000 people are drawn {draws} times.

| enrolled | distance | FPIR at α | FNIR at α | of these, taken for another |
|---:|---|---:|---:|---:|
{identification}

## Choose the threshold for your gallery

With the plain distance, the FPIR at a given α grows with the gallery. With the normalised one it
grows up to about 100 people, and then falls. A lower α asks more employees to try again:

| enrolled | distance | FPIR | α | FNIR | count |
|---:|---|---:|---:|---:|---:|
{lower_alpha}

![Detection error trade-off]({plot})

## What this does not say

The photos show public figures in the news, mostly from the front. Some of LFW's labels are wrong.
None of the photos is a presentation attack. Your own people and cameras will give other
figures.{quoted}
"""

_QUOTED = """

`vggface2` is the better model, and the default if its weights are available. It is not measured
here, because the weights could not be downloaded where this page was made. 0.9965 on LFW is the
accuracy published with them."""


def markdown(figures: dict[str, Any], plot: str) -> str:
    """Return the page. figures: as in accuracy.json. plot: the file name of the plot."""
    pairs, searches = figures["verification"], figures["identification"]
    alpha, best = figures["alpha"], pairs["at_most_accurate_on_devtrain"]
    at_alpha = pairs["at_alpha"]
    every = at_alpha["fmr_every_two_people"]
    fmr, fnmr = at_alpha["fmr"], at_alpha["fnmr"]
    verification = [
        _row(f"FMR at α {alpha:g}", fmr),
        f"| FMR at α {alpha:g}, every two people | {every['value']:.3%} | {_count(every)} | |",
        _row(f"FNMR at α {alpha:g}", fnmr),
        _row(f"accuracy at α {alpha:g}", at_alpha["accuracy"]),
        _row(f"accuracy at {best['threshold']:.3f}, best on devtrain", best["accuracy"]),
        f"| equal error rate | {pairs['equal_error_rate']:.2%} | | |",
        *(
            _row(
                f"FNMR at {point['threshold']:.3f}, FMR {100 * point['fmr']:g} %, every two people",
                point["fnmr"],
            )
            for point in pairs["at_fmr"]
        ),
    ]
    identification = [
        f"| {row['enrolled']:,} | {row['distance']} | "
        + " | ".join(f"{rate['value']:.2%}" for rate in row["at_alpha"].values())
        + " |"
        for row in searches
    ]
    lower_alpha = [
        f"| {row['enrolled']:,} | {row['distance']} | {100 * point['fpir']:g} % | "
        f"{point['threshold']:.3f} | {point['fnir']['value']:.2%} | {_count(point['fnir'])} |"
        for row in searches
        for point in row["at_fpir"]
    ]
    distances = [
        " | ".join((f"| {kind}", *(f"{value:.3f}" for value in row.values()))) + " |"
        for kind, row in pairs["distances"].items()
    ]
    refused = ", ".join(f"{count} ({why})" for why, count in figures["refused"].items())
    return _PAGE.format(
        model=figures["model"],
        stem=Path(plot).stem,
        photos=figures["photos"],
        people=figures["people"],
        alpha=alpha,
        scale=figures["distance_scale"],
        refused=refused or "none",
        mated=fnmr["of"],
        non_mated=fmr["of"],
        strangers=every["of"],
        verification="\n".join(verification),
        distances="\n".join(distances),
        draws=", ".join(str(row["draws"]) for row in searches if row["distance"] == "plain"),
        identification="\n".join(identification),
        lower_alpha="\n".join(lower_alpha),
        plot=plot,
        quoted="" if figures["model"] == "vggface2" else _QUOTED,
    )


def plot(file: Path, alpha: float, experiments: dict[str, tuple[Distances, Distances]]) -> None:
    """Draw the detection error trade-off of each experiment's (mated, non-mated) distances."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    figure, axes = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    thresholds = np.linspace(0, 3, 3001)
    for label, (mated, non_mated) in experiments.items():
        (line,) = axes.plot(*curve(mated, non_mated, thresholds), label=label)
        point = curve(mated, non_mated, np.array([alpha]))
        axes.plot(*point, "o", color=line.get_color())
        axes.annotate(
            f"α {alpha:g}", (point[0][0], point[1][0]), (6, 6), textcoords="offset points"
        )
    axes.set(xscale="log", yscale="log", xlim=(1e-5, 1), ylim=(1e-3, 1))
    axes.set_xlabel("strangers taken for someone (FMR, FPIR)")
    axes.set_ylabel("people not recognised (FNMR, FNIR)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:g} %"))
    axes.grid(which="major", alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _row(label: str, rate: dict[str, Any]) -> str:
    low, high = rate["interval_95"]
    return f"| {label} | {rate['value']:.2%} | {_count(rate)} | {low:.2%} to {high:.2%} |"


def _count(rate: dict[str, Any]) -> str:
    return f"{rate['count']:,} of {rate['of']:,}"
