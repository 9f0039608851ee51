"""Turn distances into the figures of a report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from app.evaluation import rates
from app.evaluation.identification import Search
from app.evaluation.rates import Distances
from app.evaluation.templates import Templates
from app.gallery.false_matches import HIGHEST

FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
FPIRS = (1e-1, 1e-2, 3e-3, 1e-3)
_ALPHAS = np.arange(0.4, 1.0001, 0.05)

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """What α is recommended for: so many people enrolled, and at most this FPIR."""

    people: int
    fpir: float


def verification(mated: Distances, non_mated: Distances, alpha: float, pairs: bool) -> Figures:
    """Return the 1:1 figures. pairs: whether these are pairs, each with photos of its own."""
    figures: Figures = {
        "mated": len(mated),
        "non_mated": len(non_mated),
        "lost_to_refused_photos": {
            "mated": int(np.isinf(mated).sum()),
            "non_mated": int(np.isinf(non_mated).sum()),
        },
        "at_alpha": {"alpha": alpha} | _errors(mated, non_mated, alpha),
        "equal_error_rate": round(rates.equal_error_rate(mated, non_mated), 6),
        "at_fmr": [
            {"fmr": fmr, "alpha": _number(alpha), "tar": rates.below(mated, alpha).figures()}
            for fmr, alpha in _thresholds(non_mated, FMRS)
        ],
        "distances": {"mated": _spread(mated), "non_mated": _spread(non_mated)},
    }
    if pairs:
        figures["at_alpha"]["accuracy"] = rates.accuracy(mated, non_mated, alpha).figures()
        if min(len(mated), len(non_mated)) >= 10:
            accuracy = rates.cross_validated_accuracy(mated, non_mated)
            figures["accuracy_cross_validated"] = accuracy.figures()
            figures["most_accurate_alpha"] = _number(
                rates.most_accurate_threshold(mated, non_mated)
            )
    return figures


def identification(search: Search, alpha: float) -> Figures:
    """Return the 1:N figures of galleries of one size."""
    return {
        "enrolled": search.enrolled,
        "galleries": search.galleries,
        "nearest_is_right": rates.below(search.mated, np.inf).figures(),
        "at_alpha": {
            "alpha": alpha,
            "fpir": rates.below(search.non_mated, alpha).figures(),
            "fnir": rates.missed(search.mated, alpha).figures(),
            "mated_taken_for_another": rates.below(search.mated_wrong, alpha).figures(),
        },
        "at_fpir": [
            {"fpir": fpir, "alpha": _number(alpha), "fnir": _fnir(search, alpha)}
            for fpir, alpha in _thresholds(search.non_mated, FPIRS)
        ],
    }


def costs(
    mated: Distances, non_mated: Distances, search: Search | None, alphas: Sequence[float]
) -> list[Figures]:
    """Return the error rates at each α, in ascending order. alphas: in addition to round ones."""
    values = sorted({round(float(alpha), 4) for alpha in (*_ALPHAS, *alphas)})
    return [
        {"alpha": alpha}
        | _errors(mated, non_mated, alpha)
        | ({} if search is None else _search_errors(search, alpha))
        for alpha in values
    ]


def recommendation(
    non_mated: Distances, measured: int, search: Search | None, goal: Goal
) -> Figures:
    """Return the highest α that keeps the FPIR at the goal, or why none can be told.

    non_mated: least distances in galleries of `measured` people. In a larger gallery a stranger has
    so many more chances, as if each were independent; they are not, so that errs on the safe side.
    """
    allowed = 1 - (1 - goal.fpir) ** (measured / goal.people)
    figures: Figures = {"people": goal.people, "max_fpir": goal.fpir, "measured_with": measured}
    if not rates.is_supported(allowed, len(non_mated)):
        needed = rates.comparisons_needed(allowed)
        what = "pairs of different people" if search is None else "searches by strangers"
        return figures | {
            "alpha": None,
            "reason": f"An FPIR of {goal.fpir:.2%} with {goal.people:,} people enrolled takes "
            f"{needed:,} {what} to measure; there are {len(non_mated):,}.",
        }
    highest = min(HIGHEST, rates.threshold_at(non_mated, allowed))
    alpha = floor(highest * 1e3) / 1e3
    figures |= {"alpha": alpha}
    if search is not None and measured == goal.people:
        figures |= _search_errors(search, alpha)
    return figures


def failures(templates: Templates) -> Figures:
    """Return how many photos were refused, and why."""
    refused = rates.Rate(len(templates.refused), len(templates.rows))
    return refused.figures() | {"reasons": _by_count(templates.refusals)}


def times(templates: Templates, at_once: int, in_all_s: float) -> Figures:
    """Return how long photos took. in_all_s: seconds for all of them."""
    used = [templates.seconds[row] for p, row in templates.rows.items() if templates.usable(p)]
    median, p95 = np.percentile(used, (50, 95)) * 1e3 if used else (np.nan, np.nan)
    return {
        "photos": len(templates.rows),
        "at_once": at_once,
        "median_ms": _number(median, 1),
        "p95_ms": _number(p95, 1),
        "photos_per_second": _number(len(templates.rows) / in_all_s, 1),
    }


def _thresholds(non_mated: Distances, wanted: Sequence[float]) -> list[tuple[float, float]]:
    ordered = np.sort(non_mated)
    return [
        (rate, rates.threshold_at(ordered, rate)) for rate in rates.supported(wanted, len(ordered))
    ]


def _errors(mated: Distances, non_mated: Distances, alpha: float) -> Figures:
    return {
        "fmr": rates.below(non_mated, alpha).figures(),
        "fnmr": rates.missed(mated, alpha).figures(),
    }


def _search_errors(search: Search, alpha: float) -> Figures:
    return {
        "fpir": rates.below(search.non_mated, alpha).figures(),
        "fnir": _fnir(search, alpha),
    }


def _fnir(search: Search, alpha: float) -> Figures:
    return rates.missed(search.mated, alpha).figures()


def _spread(distances: Distances) -> Figures:
    finite = distances[np.isfinite(distances)]
    if not len(finite):
        return {}
    shares = dict(zip(("p1", "p50", "p99"), np.percentile(finite, (1, 50, 99)), strict=True))
    spread = {"mean": finite.mean(), "sd": finite.std(), **shares}
    return {name: round(float(value), 4) for name, value in spread.items()}


def _by_count(counts: Counter[str]) -> dict[str, int]:
    return dict(counts.most_common())


def _number(value: float, digits: int = 4) -> float | None:
    """Return a number for JSON, which has no infinity."""
    return round(float(value), digits) if np.isfinite(value) else None
