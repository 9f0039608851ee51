"""Estimate how many pods and how much memory are needed, and what breaks first: `make scaling`.

The estimates come from the figures in docs/benchmarks (load, search, costs) and from a simulation
of each pod's queue. Write docs/benchmarks/scaling.md, scaling.json and scaling.png.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.queueing import Balancer, Outcome, Work, closed_load, open_load
from benchmarks.scaling_report import page
from testbed.serving import ROOT

FOLDER = ROOT / "docs/benchmarks"
RETRY_AFTER_S = 2.0
P99_MS, REFUSED = 500.0, 0.001  # the target of a fleet: latency, share of refused logins
RATES = (1, 100, 10_000)
SIZES = (10_000, 1_000_000, 100_000_000)
MODELS = {"dlib": 128, "facenet": 512}
HNSW_LINKS = 2 * 32 * 4  # bytes a vector: 2 × M links of 4 bytes in the lowest layer
ARRIVALS = 30_000  # logins in a simulation


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of docs/benchmarks."""

    load: dict[str, Any]
    galleries: list[dict[str, Any]]
    costs: dict[str, Any]
    load_s: dict[int, float]

    @classmethod
    def read(cls, folder: Path) -> "Measured":
        def figures(name: str) -> Any:  # noqa: ANN401  JSON
            return json.loads((folder / f"{name}.json").read_text())

        search = figures("search")
        loads = {load["dimension"]: load["seconds"] for load in search["loads"]}
        costs = figures("costs")["figures"]
        return cls(figures("load")["figures"], search["galleries"], costs, loads)

    def work(self, model: str) -> Work:
        """Return the work of a login with 10,000 employees.

        The mean is that of a busy pod, the spread that of an idle one: in a lognormal distribution,
        ln(p95 / p50) is 1.645 sigma.
        """
        clients = self.load[model]["clients"]
        alone = clients["1"]["answered_ms"]
        sigma = float(np.log(alone["p95"] / alone["p50"])) / 1.645
        return Work(1 / clients["4"]["logins_per_second"], sigma)

    def search_s(self, dimension: int, people: int) -> float:
        """Return how many seconds a pod takes for a search in memory, with all its cores.

        Between the measured sizes, interpolate linearly in logarithms; beyond them, time grows with
        the number of vectors, as in a scan.
        """
        sizes, seconds = [], []
        for gallery in self.galleries:
            if gallery["dimension"] == dimension:
                sizes.append(gallery["people"])
                seconds.append(1 / max(gallery["searches_per_s"].values()))
        if people > sizes[-1]:
            return seconds[-1] * people / sizes[-1]
        return float(np.exp(np.interp(np.log(people), np.log(sizes), np.log(seconds))))

    def pod_work(self, model: str, people: int, index: str) -> Work:
        """Return the work of a login with so many employees and this index."""
        work, dimension = self.work(model), MODELS[model]
        mean_s = work.mean_s - self.search_s(dimension, 10_000)
        if index == "memory":
            mean_s += self.search_s(dimension, people)
        return Work(mean_s, work.sigma)

    def pod_gb(self, model: str, people: int, index: str) -> float:
        """Return the memory of a pod with one worker, in gigabytes."""
        base = self.load[model]["memory_after_load"]["rss_mb"] / 1e3
        return base + (people * self.bytes_a_vector(MODELS[model]) / 1e9) * (index == "memory")

    def bytes_a_vector(self, dimension: int) -> float:
        """Return the bytes of a vector and its employee's entry in a large gallery in memory."""
        galleries = [g for g in self.galleries if g["dimension"] == dimension]
        return max(gallery["bytes_per_vector"] or 0.0 for gallery in galleries)


def main() -> None:
    """Simulate, and write the tables and the plot."""
    measured = Measured.read(FOLDER)
    made = {
        "check": _check(measured),
        "fleets": _fleets(measured),
        "hundred": _hundred(measured),
        "breaks": _breaks(measured),
        "store": measured.costs,
    }
    (FOLDER / "scaling.json").write_text(json.dumps(made, indent=1) + "\n")
    (FOLDER / "scaling.md").write_text(page(made))
    _draw(measured, made, FOLDER / "scaling.png")
    print((FOLDER / "scaling.md").read_text())


def _check(measured: Measured) -> list[dict[str, Any]]:
    """Return the simulated load and the measured one, to compare them."""
    rows = []
    for model in MODELS:
        for clients, tally in measured.load[model]["clients"].items():
            seconds = tally["seconds"]
            outcome = closed_load(
                int(clients), measured.work(model), seconds=seconds, retry_after_s=RETRY_AFTER_S
            )
            rows.append(
                {
                    "model": model,
                    "clients": int(clients),
                    "measured": {
                        "a_second": tally["logins_per_second"],
                        **{p: tally["answered_ms"][p] for p in ("p50", "p95", "p99")},
                        "refused": tally["statuses"].get("503", 0) // len(tally["rates"]),
                    },
                    "simulated": {
                        "a_second": len(outcome.answered_s) / seconds,
                        **{f"p{p}": outcome.percentile_ms(p) for p in (50, 95, 99)},
                        "refused": outcome.refused,
                    },
                }
            )
    return rows


def _simulate(pods: int, rate: float, work: Work, balancer: Balancer, seed: int = 0) -> Outcome:
    return open_load(pods, rate, work, balancer=balancer, seconds=ARRIVALS / rate, seed=seed)


def _meets_target(outcome: Outcome) -> bool:
    return outcome.percentile_ms(99) <= P99_MS and outcome.refusals <= REFUSED


def _least_pods(rate: float, work: Work) -> int | None:
    """Return how few pods behind a random balancer meet the target; None if no number does.

    Random arrivals make each pod an independent queue, so it suffices to simulate one pod.
    """
    if not _meets_target(_simulate(1, 0.001 / work.mean_s, work, "random")):
        return None
    low, high = 0, max(1, int(2 * rate * work.mean_s) + 1)
    while not _meets_target(_simulate(1, rate / high, work, "random")):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _meets_target(_simulate(1, rate / middle, work, "random")):
            high = middle
        else:
            low = middle
    return high


def _fleets(measured: Measured) -> list[dict[str, Any]]:
    """Return pods and memory for every model, size, index and rate."""
    rows = []
    for model, dimension in MODELS.items():
        for people in SIZES:
            stored = measured.costs[str(dimension)]["MongoDB"]["bytes_an_employee"]
            for index in ("memory", "milvus"):
                work = measured.pod_work(model, people, index)
                rows.append(
                    {
                        "model": model,
                        "people": people,
                        "index": index,
                        "work_ms": work.mean_s * 1e3,
                        "pod_gb": measured.pod_gb(model, people, index),
                        "load_s": measured.load_s[dimension] * people / 1e6
                        if index == "memory"
                        else 0.0,
                        "milvus_gb": people * (4 * dimension + HNSW_LINKS) / 1e9
                        if index == "milvus"
                        else 0.0,
                        "mongodb_gb": people * stored / 1e9,
                        "pods": {str(rate): _least_pods(rate, work) for rate in RATES},
                    }
                )
    return rows


def _hundred(measured: Measured) -> list[dict[str, Any]]:
    """Simulate a hundred logins a second by the number of pods and the kind of balancer."""
    rows = []
    for pods in (2, 3, 4, 5, 6, 8):
        row: dict[str, Any] = {"pods": pods}
        for balancer in ("random", "least busy"):
            outcome = _simulate(pods, 100, measured.work("dlib"), balancer)
            row[balancer] = {
                "p50": outcome.percentile_ms(50),
                "p99": outcome.percentile_ms(99),
                "refused": outcome.refusals,
            }
        rows.append(row)
    return rows


def _breaks(measured: Measured) -> dict[str, Any]:
    """Return the limit of each part on its own."""
    rate = measured.costs["128"]["MongoDB"]["logins_a_second"]
    found: dict[str, Any] = {"mongod_logins_a_second": rate}
    for model, dimension in MODELS.items():
        work = measured.work(model)
        bytes_a_vector = measured.bytes_a_vector(dimension)
        doubled = (work.mean_s - measured.search_s(dimension, 10_000)) / measured.search_s(
            dimension, 1_000_000
        )
        found[model] = {
            "people_in_2_gb": (2.0 - measured.pod_gb(model, 0, "milvus")) * 1e9 / bytes_a_vector,
            "people_when_search_takes_half": doubled * 1e6,
            "people_loaded_in_a_minute": 60 / measured.load_s[dimension] * 1e6,
        }
    return found


def _draw(measured: Measured, made: dict[str, Any], file: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (loads, pods) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    work = measured.work("dlib")
    utilisation = np.linspace(0.1, 1.4, 27)
    for balancer, count, colour in (
        ("random", 1, "tab:blue"),
        ("random", 8, "tab:orange"),
        ("least busy", 8, "tab:green"),
    ):
        outcomes = [
            _simulate(count, count * u / work.mean_s, work, balancer)  # type: ignore[arg-type]
            for u in utilisation
        ]
        label = "1 pod" if count == 1 else f"{count} pods, {balancer}"
        loads.plot(
            100 * utilisation, [o.percentile_ms(99) for o in outcomes], color=colour, label=label
        )
        loads.plot(100 * utilisation, [o.percentile_ms(50) for o in outcomes], "--", color=colour)
    loads.axhline(P99_MS, color="grey", lw=0.8)
    loads.set(
        xlabel="logins that come, % of what the pods can answer",
        ylabel="milliseconds: p99, and dashed p50",
        ylim=(0, None),
    )
    loads.legend(fontsize="small")
    for row in made["fleets"]:
        if row["people"] == SIZES[-1] and row["index"] == "memory":
            continue
        numbers = [row["pods"][str(rate)] for rate in RATES]
        style = "-" if row["index"] == "memory" else ":"
        colour = "tab:blue" if row["model"] == "dlib" else "tab:red"
        label = f"{row['model']}, {row['people']:,} in {row['index']}"
        if row["index"] == "memory" or row["people"] == SIZES[-1]:
            pods.plot(RATES, numbers, f"o{style}", color=colour, label=label, alpha=0.8)
    pods.set(xscale="log", yscale="log", xlabel="logins a second", ylabel="pods of two cores")
    pods.legend(fontsize="x-small")
    for axes in (loads, pods):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    main()
