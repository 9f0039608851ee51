"""Compute error rates of comparisons, named as in ISO/IEC 19795-1. Distances below α match."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]
"""Distances of comparisons; infinite if one of the photos was refused."""

_FEWEST = 3  # expected errors from which a rate counts as measurable
_Z = 1.959964  # quantile of the normal distribution for 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Rate:
    """The outcome of `count` out of `of` trials."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval (Wilson 1927)."""
        spread = _Z**2 / self.of
        centre = self.value + spread / 2
        half = sqrt(spread * self.value * (1 - self.value) + spread**2 / 4)
        low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
        return max(low, 0.0), min(high, 1.0)

    def figures(self) -> dict[str, Any]:
        """Return the rate for JSON."""
        low, high = self.interval
        return {
            "value": round(self.value, 6),
            "count": self.count,
            "of": self.of,
            "interval_95": [round(low, 6), round(high, 6)],
        }

    def __str__(self) -> str:
        low, high = self.interval
        counts = f"{self.count:,} of {self.of:,}"
        return f"{self.value:.2%} ({counts}; 95 % interval {low:.2%} to {high:.2%})"


def below(distances: Distances, threshold: float) -> Rate:
    """Return how many match: the FMR of non-mated comparisons, the FPIR of nearest candidates."""
    return Rate(int((distances < threshold).sum()), len(distances))


def missed(distances: Distances, threshold: float) -> Rate:
    """Return how many comparisons do not match: the FNMR of mated ones."""
    return Rate(int((distances >= threshold).sum()), len(distances))


def accuracy(mated: Distances, non_mated: Distances, threshold: float) -> Rate:
    """Return how many comparisons are decided correctly."""
    right = int((mated < threshold).sum() + (non_mated >= threshold).sum())
    return Rate(right, len(mated) + len(non_mated))


def supported(rates: Iterable[float], comparisons: int) -> list[float]:
    """Return the rates that so many comparisons can measure.

    Without any error among n, the rate is below 3/n at 95 % confidence (Jovanovic and Levy 1997).
    """
    return [rate for rate in rates if is_supported(rate, comparisons)]


def is_supported(rate: float, comparisons: int) -> bool:
    return comparisons >= comparisons_needed(rate)


def comparisons_needed(rate: float) -> int:
    return ceil(_FEWEST / rate - 1e-6)


def cross_validated_accuracy(mated: Distances, non_mated: Distances, folds: int = 10) -> Rate:
    """Return the accuracy where each fold is decided by the best threshold of the others.

    A fold is a run of comparisons, as in LFW's View 2, so that a person is rarely in two.
    """
    count = 0
    own = [np.arange(len(kind)) * folds // len(kind) for kind in (mated, non_mated)]
    for fold in range(folds):
        one, other = (numbers == fold for numbers in own)
        threshold = most_accurate_threshold(mated[~one], non_mated[~other])
        count += accuracy(mated[one], non_mated[other], threshold).count
    return Rate(count, len(mated) + len(non_mated))


def curve(
    mated: Distances, non_mated: Distances, thresholds: Distances
) -> tuple[Distances, Distances]:
    """Return FMR and FNMR at each threshold."""
    false_matches = np.searchsorted(np.sort(non_mated), thresholds) / len(non_mated)
    matches = np.searchsorted(np.sort(mated), thresholds) / len(mated)
    return false_matches, 1 - matches


def most_accurate_threshold(mated: Distances, non_mated: Distances) -> float:
    """Return a threshold that decides most comparisons correctly, mated or not.

    Between two neighbouring distances all thresholds decide alike. Of the best such gaps it is the
    middle of the widest, as a small change of the photos alters least there.
    """
    distances = np.concatenate((mated, non_mated))
    edges = np.unique(np.append(distances[np.isfinite(distances)], 0))
    beyond = np.nextafter(edges[-1], np.inf)
    thresholds = np.append((edges[:-1] + edges[1:]) / 2, beyond)
    fmr, fnmr = curve(mated, non_mated, thresholds)
    errors = np.rint(fmr * len(non_mated) + fnmr * len(mated))
    best = np.lexsort((-np.diff(edges, append=beyond), errors))[0]
    return float(thresholds[best])


def equal_error_rate(mated: Distances, non_mated: Distances) -> float:
    """Return the error rate at the threshold where FMR and FNMR are closest to each other."""
    fmr, fnmr = curve(mated, non_mated, np.unique(np.concatenate((mated, non_mated))))
    nearest = np.argmin(np.abs(fmr - fnmr))
    return float(fmr[nearest] + fnmr[nearest]) / 2


def threshold_at(non_mated: Distances, rate: float) -> float:
    """Return the largest threshold with at most `rate` of the non-mated comparisons below it."""
    return float(np.sort(non_mated)[int(rate * len(non_mated))])
