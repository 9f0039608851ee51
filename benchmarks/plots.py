"""Draw the figures as charts."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

Figures = dict[str, Any]


def draw(measured: dict[str, Figures], folder: Path) -> None:
    """Draw a chart for each part that was measured."""
    mpl.use("Agg")
    if "stages" in measured:
        _stages(measured["stages"]["figures"]["stages"], folder / "stages.png")
    if "http_login" in measured:
        _requests(measured["http_login"]["figures"]["requests"], folder / "http_login.png")
    if "load" in measured:
        _load(measured["load"]["figures"], folder / "load.png")


def _stages(pipelines: Figures, file: Path) -> None:
    """Draw bars of each pipeline's stages, and this service's again at a larger scale."""
    from matplotlib import pyplot as plt

    own = [name for name in pipelines if name.startswith("this service")]
    figure, (all_axes, own_axes) = plt.subplots(
        2, figsize=(8, 5), layout="constrained", height_ratios=(len(pipelines), len(own))
    )
    stages = dict.fromkeys(
        stage for by in pipelines.values() for stage in by["JPEG"] if stage != "total"
    )
    colours = dict(zip(stages, mpl.color_sequences["tab10"], strict=False))
    for axes, names in ((all_axes, list(pipelines)), (own_axes, own)):
        for row, name in enumerate(names):
            left = 0.0
            for stage, colour in colours.items():
                if times := pipelines[name]["JPEG"].get(stage):
                    axes.barh(row, times["median_ms"], left=left, color=colour)
                    left += times["median_ms"]
            axes.annotate(f" {left:,.1f} ms", (left, row), va="center")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    own_axes.set_xlabel("milliseconds of a login in process, 640×480 JPEG, medians")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    figure.legend(handles, list(colours), loc="outside upper center", ncols=4)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _requests(requests: Figures, file: Path) -> None:
    """Draw a bar for each request, on a logarithmic scale because the ratios matter."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.35 * len(requests) + 0.8), layout="constrained")
    for row, (case, times) in enumerate(requests.items()):
        colour = "tab:blue" if case.startswith("this service") else "tab:grey"
        axes.barh(row, times["median_ms"], color=colour)
        axes.annotate(f" {times['median_ms']:,.0f} ms", (times["median_ms"], row), va="center")
    axes.set(xscale="log", xlim=(5, None), xlabel="milliseconds of a login over HTTP, medians")
    axes.set_yticks(range(len(requests)), list(requests))
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _load(models: Figures, file: Path) -> None:
    """Draw logins a second and latencies by the number of clients."""
    from matplotlib import pyplot as plt

    figure, (rates, latencies) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for model, colour in zip(models, mpl.color_sequences["tab10"], strict=False):
        by_clients = models[model]["clients"]
        clients = [int(number) for number in by_clients]
        rate = [tally["logins_per_second"] for tally in by_clients.values()]
        rates.plot(clients, rate, "o-", color=colour, label=model)
        for percentile, style in (("p50", "o-"), ("p95", "o--"), ("p99", "o:")):
            ms = [tally["answered_ms"][percentile] for tally in by_clients.values()]
            latencies.plot(clients, ms, style, color=colour, label=f"{model}, {percentile}")
    rates.set(ylabel="logins a second", ylim=(0, None))
    latencies.set(ylabel="milliseconds to an answer of 200", yscale="log")
    for axes in (rates, latencies):
        axes.set_xscale("log", base=2)
        axes.set_xticks(clients, [str(number) for number in clients])
        axes.set_xlabel("clients at once")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(file, dpi=110)
    plt.close(figure)
