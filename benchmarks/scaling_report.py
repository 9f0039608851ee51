"""Show the results of the scaling simulation as tables."""

from collections.abc import Iterable, Sequence
from typing import Any

Figures = dict[str, Any]


def page(made: Figures) -> str:
    """Return docs/benchmarks/scaling.md."""
    parts = [
        "# Scaling: the tables",
        "`make scaling` generates this page; [docs/scaling.md](../scaling.md) says what it means.",
        "## The simulation compared with the measured load",
        "Closed load on one pod of two cores ([how it was measured](README.md#under-load)), "
        "measured → simulated. The mean work of a login comes from the row of 4 clients, its "
        "spread from the row of 1; everything else follows.",
        _check(made["check"]),
        "## Pods and memory",
        "The number of pods (two cores, one worker) that keeps p99 below 500 ms and refuses at "
        "most one login in a thousand, with requests spread at random. Memory is that of a pod; "
        "*Milvus* and *MongoDB* are totals without replicas, with one vector per employee.",
        _fleets(made["fleets"]),
        "## A hundred logins a second (dlib, 10,000 employees)",
        "p50 / p99 in ms, and the share that was refused.",
        _hundred(made["hundred"]),
        "## What a database costs",
        "20,000 employees with one vector each. A login queries the change log, idle here, and "
        "reads eight records. *Logins/s*: four threads of one Python process, with the server on "
        "the same two cores; a separate server does more.",
        _store(made["store"]),
        "## Where one part reaches its limit, with the gallery in memory",
        _breaks(made["breaks"]),
    ]
    return "\n\n".join(parts) + "\n"


def _check(rows: list[Figures]) -> str:
    def cells(row: Figures) -> list[str]:
        was, is_ = row["measured"], row["simulated"]
        pairs = [f"{was[k]:.0f} → {is_[k]:.0f}" for k in ("a_second", "p50", "p95", "p99")]
        return [row["model"], str(row["clients"]), *pairs, f"{was['refused']} → {is_['refused']}"]

    head = ["model", "clients", "logins/s", "p50 ms", "p95 ms", "p99 ms", "503"]
    return _table(head, map(cells, rows))


def _fleets(rows: list[Figures]) -> str:
    def cells(row: Figures) -> list[str]:
        pods = ["none" if n is None else f"{n:,}" for n in row["pods"].values()]
        return [
            row["model"],
            f"{row['people']:,}",
            row["index"],
            f"{row['work_ms']:,.0f}",
            _gb(row["pod_gb"]),
            _duration(row["load_s"]),
            _gb(row["milvus_gb"]),
            _gb(row["mongodb_gb"]),
            *pods,
        ]

    head = ["model", "employees", "index", "ms of a pod per login", "pod memory", "loading"]
    rates = [f"pods at {int(rate):,}/s" for rate in rows[0]["pods"]]
    return _table([*head, "Milvus", "MongoDB", *rates], map(cells, rows))


def _hundred(rows: list[Figures]) -> str:
    def cells(row: Figures) -> list[str]:
        both = [
            f"{row[way]['p50']:.0f} / {row[way]['p99']:.0f}, {row[way]['refused']:.1%}"
            for way in ("random", "least busy")
        ]
        return [str(row["pods"]), *both]

    return _table(["pods", "spread at random", "to the least busy"], map(cells, rows))


def _store(costs: Figures) -> str:
    rows = [
        [
            store,
            dimension,
            f"{figures['bytes_an_employee']:,.0f}",
            f"{figures['idle_query_ms']:.3f}",
            f"{figures['candidates_ms']:.2f}",
            f"{figures['logins_a_second']:,.0f}",
        ]
        for dimension, stores in costs.items()
        for store, figures in stores.items()
    ]
    head = ["database", "numbers", "bytes per employee", "idle query ms", "records ms", "logins/s"]
    return _table(head, rows)


def _breaks(breaks: Figures) -> str:
    rows = [
        [
            model,
            f"{breaks[model]['people_in_2_gb'] / 1e6:.1f} million",
            f"{breaks[model]['people_loaded_in_a_minute'] / 1e6:.1f} million",
            f"{breaks[model]['people_when_search_takes_half'] / 1e6:.1f} million",
        ]
        for model in ("dlib", "facenet")
    ]
    head = ["model", "2 GB per worker", "a minute to load", "the search is half of a login"]
    return _table(head, rows)


def _gb(number: float) -> str:
    return "" if not number else f"{number:,.1f} GB" if number < 100 else f"{number:,.0f} GB"


def _duration(seconds: float) -> str:
    return "" if not seconds else f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
