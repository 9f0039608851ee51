"""Error rates of comparisons, as ISO/IEC 19795-1 names them. A comparison matches below α."""

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]
"""Distances of comparisons; infinite where one of the photos was refused."""

_Z = 1.959964  # of the standard normal distribution, 95 % two-sided


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `of` trials."""

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

    def __str__(self) -> str:
        low, high = self.interval
        counts = f"{self.count:,} of {self.of:,}"
        return f"{self.value:.2%} ({counts}; 95 % interval {low:.2%} to {high:.2%})"


def below(distances: Distances, threshold: float) -> Rate:
    """How many comparisons match: FMR for non-mated ones, FPIR for their nearest candidates."""
    return Rate(int((distances < threshold).sum()), len(distances))


def missed(distances: Distances, threshold: float) -> Rate:
    """How many comparisons do not match: FNMR for mated ones."""
    return Rate(int((distances >= threshold).sum()), len(distances))


def accuracy(mated: Distances, non_mated: Distances, threshold: float) -> Rate:
    """How many comparisons are decided rightly."""
    right = int((mated < threshold).sum() + (non_mated >= threshold).sum())
    return Rate(right, len(mated) + len(non_mated))


def curve(
    mated: Distances, non_mated: Distances, thresholds: Distances
) -> tuple[Distances, Distances]:
    """FMR and FNMR at each threshold."""
    false_matches = np.searchsorted(np.sort(non_mated), thresholds) / len(non_mated)
    matches = np.searchsorted(np.sort(mated), thresholds) / len(mated)
    return false_matches, 1 - matches


def most_accurate_threshold(mated: Distances, non_mated: Distances) -> float:
    """The threshold that decides most comparisons rightly; FMR and FNMR weigh by their numbers."""
    thresholds = np.unique(np.concatenate((mated, non_mated)))
    fmr, fnmr = curve(mated, non_mated, thresholds)
    return float(thresholds[np.argmin(fmr * len(non_mated) + fnmr * len(mated))])


def equal_error_rate(mated: Distances, non_mated: Distances) -> float:
    """The error rate at the threshold where FMR and FNMR come closest to each other."""
    fmr, fnmr = curve(mated, non_mated, np.unique(np.concatenate((mated, non_mated))))
    nearest = np.argmin(np.abs(fmr - fnmr))
    return float(fmr[nearest] + fnmr[nearest]) / 2


def threshold_at(non_mated: Distances, rate: float) -> float:
    """The largest threshold below which at most `rate` of the non-mated comparisons lie."""
    return float(np.sort(non_mated)[int(rate * len(non_mated))])


def fpir_in_smaller_gallery(hits: NDArray[np.int64], enrolled: int, size: int) -> float:
    """The FPIR expected in a gallery of `size` people drawn from the `enrolled`.

    hits: for each non-mated probe, how many of the enrolled it matches.
    """
    values, counts = np.unique(hits, return_counts=True)
    none = [comb(enrolled - int(value), size) / comb(enrolled, size) for value in values]
    return float(1 - np.average(none, weights=counts))
