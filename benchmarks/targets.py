"""Compare what was measured with the targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.detection import LOGIN, OURS, OURS_20, THEIRS, THEIRS_30

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A target and what was measured. at_least: whether the target is a minimum."""

    what: str
    wanted: float
    measured: float
    unit: str = "×"
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.measured >= self.wanted if self.at_least else self.measured < self.wanted

    @property
    def row(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.at_least else "<"
        return (
            self.what,
            f"{sign} {self.wanted:g}{self.unit}",
            f"**{self.measured:,.4g}{self.unit}**",
            "yes" if self.met else "no",
        )


def targets(measured: dict[str, Figures]) -> list[Target]:
    """Those whose part was measured."""
    rules = {
        "http_login": _http_login,
        "embedding": _embedding,
        "detection": _detection,
        "starting": _starting,
        "load": _load,
        "search": _search,
    }
    return [
        target
        for part, rule in rules.items()
        if part in measured
        for target in rule(measured[part]["figures"])
    ]


def _http_login(figures: Figures) -> list[Target]:
    requests = figures["requests"]
    found = [
        Target(
            f"login over HTTP, {form}: {theirs} / this service ({model})",
            20,
            _ratio(requests, f"{theirs}: {form}", f"this service, {model}: {form}"),
        )
        for model in ("facenet", "dlib")
        for theirs in ("straightforward", "straightforward, paged")
        for form in ("JPEG", "PNG")
    ]
    found += [
        Target(
            f"login over HTTP ({model}): 12-megapixel JPEG / 640×480 JPEG",
            2.5,
            _ratio(requests, f"this service, {model}: 12 MP JPEG", f"this service, {model}: JPEG"),
            at_least=False,
        )
        for model in ("dlib", "facenet")
    ]
    found += [
        Target(
            f"{theirs}, in process without a search / login over HTTP ({model})",
            8,
            _ratio(requests, f"{theirs}: JPEG", f"this service, {model}: JPEG"),
        )
        for model in ("dlib", "facenet")
        for theirs in ("dlib", "dlib, photo doubled")
    ]
    return found


def _embedding(figures: Figures) -> list[Target]:
    return [
        Target(
            f"InceptionResnetV1: eager PyTorch / this service, {precision}",
            wanted,
            _ratio(figures["times"], "eager PyTorch", f"this service, {precision}"),
        )
        for precision, wanted in (("bfloat16", 7), ("float32", 2.5))
    ]


def _detection(figures: Figures) -> list[Target]:
    pairs = ((THEIRS, LOGIN), (THEIRS, OURS), (THEIRS_30, OURS), (THEIRS, OURS_20))
    return [
        Target(f"MTCNN: {theirs} / {ours}", 4, _ratio(figures["times"], theirs, ours))
        for theirs, ours in pairs
    ]


def _starting(figures: Figures) -> list[Target]:
    return [
        Target(
            f"start to the first login ({model})",
            3,
            found["times"]["start"]["median_ms"] / 1e3,
            " s",
            at_least=False,
        )
        for model, found in figures.items()
    ]


def _load(figures: Figures) -> list[Target]:
    found = []
    for model, measured in figures.items():
        few, many = (measured["clients"][clients] for clients in ("4", "64"))
        share = float(np.median(np.divide(many["rates"], few["rates"])))
        others = sum(n for status, n in many["statuses"].items() if status not in ("200", "503"))
        others += many["503_without_retry_after"]
        memory = measured["memory_after_load"]["rss_mb"]
        found += [
            Target(f"logins a second ({model}): 64 clients / 4 clients", 0.9, share),
            Target(
                f"64 clients ({model}): other than 200, or 503 with Retry-After",
                1,
                others,
                "",
                False,
            ),
            Target(f"memory of the worker after the load ({model})", 600, memory, " MB", False),
        ]
    return found


def _search(figures: Figures) -> list[Target]:
    found = []
    for people, wanted, least in ((100_000, 3, 1.0), (1_000_000, 8, 0.999)):
        for row in figures["galleries"]:
            if (row["people"], row["dimension"]) == (people, 512):
                what = f"the nearest of {people:,} × 512"
                ratio = _ratio(row["search"], "numpy", "index")
                found += [
                    Target(f"{what}: NumPy product / index", wanted, ratio),
                    Target(
                        f"{what}: recall of mates below α 1.0", least, row["recall"]["mates"], ""
                    ),
                ]
    found += [
        Target(f"{load['people']:,} × 512 loaded from the store", 60, load["seconds"], " s", False)
        for load in figures["loads"]
        if load["dimension"] == 512
    ]
    return found


def _ratio(times: Figures, slower: str, faster: str) -> float:
    ratio: float = times[slower]["median_ms"] / times[faster]["median_ms"]
    return ratio
