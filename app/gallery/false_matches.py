"""Estimate, from the people enrolled, how often a stranger is taken for one of them.

Everybody enrolled is a stranger to everybody else. The method is explained and measured in
docs/self-measurement.md.
"""

from collections import Counter
from dataclasses import dataclass
from math import erfc, exp, expm1, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.gallery.distances import normalised
from app.gallery.neighbours import Neighbours

FEWEST = 30  # people; with fewer, nothing can be said
LOWEST, HIGHEST = 0.6, 0.8  # bounds of a measured α, whatever is enrolled
_STEP = 0.005  # of a measured α, so that it does not move with every enrolment

_MOST_WRONG = 0.2  # share of the pairs set aside that are two people, by expectation
_MOST_IDS = 5  # of one person; an id that is near to more people is a way in for strangers
_FITTED = (0.05, 0.35)  # share of probes nearer than α, between which the curve is fitted
_BORROWED = 300.0  # weight of the slope that follows from all pairs, in independent probes
_inverse = NormalDist().inv_cdf
_MOST_WORTH = 300.0  # highest weight of the data, because the law is only approximate
_ONE_SIDED, _TWO_SIDED = _inverse(0.95), _inverse(0.975)  # deviations, for 95 % confidence


@dataclass(frozen=True, slots=True)
class Share:
    """An estimated share of strangers, with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SamePerson:
    """Two ids that are likely one person's. distance: between their vectors."""

    one: int
    other: int
    distance: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The FPIR of each α: log(-log(1 - FPIR)) = intercept + slope × α.

    This is the law of the least of many values, named after Gumbel. probes: how many independent
    ones the fit is worth. set_aside: the share of probes with a second id; as many again may have
    one that was not recognised, and raise the estimate.
    """

    intercept: float
    slope: float
    probes: float
    set_aside: float

    def fpir(self, threshold: float) -> Share:
        """Return the share of strangers who are taken for somebody at this α."""
        estimate, low, high = (self._share(threshold, z) for z in (0, -_TWO_SIDED, _TWO_SIDED))
        return Share(estimate, max(low - self.set_aside, 0.0), high)

    def threshold(self, most: float, lowest: float = LOWEST) -> float:
        """Return the highest α at which the FPIR is at or below `most` with 95 % confidence.

        It is from `lowest` to `HIGHEST`, even if more strangers are let in at `lowest`.
        """
        steps = round((HIGHEST - lowest) / _STEP)
        thresholds = (round(HIGHEST - step * _STEP, 3) for step in range(steps))
        return next((each for each in thresholds if self._share(each, _ONE_SIDED) <= most), lowest)

    def _share(self, threshold: float, deviations: float) -> float:
        """Return the FPIR at this α, so many standard deviations above the estimate."""
        height = self.intercept + self.slope * threshold
        # Fitted to the errors measured in docs/self-measurement.md. They grow with the distance
        # from the middle of the fit, as the slope is uncertain and the law approximate.
        away = (height - log(0.5)) ** 2
        spread = sqrt((4.5 + 0.75 * away) * (1 / self.probes + 1 / _MOST_WORTH))
        return -expm1(-exp(min(height + deviations * spread, 700.0)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the people enrolled tell of strangers.

    curve: None if they are too few, or too much alike. same: nearest first, among the probes and
    everybody else.
    """

    curve: Curve | None
    same: tuple[SamePerson, ...]


def estimate(neighbours: Neighbours) -> Estimate:
    """Return what the neighbours of the probes tell."""
    people = neighbours.people
    if people < FEWEST or (body := _Body.of(neighbours)) is None:
        return Estimate(None, ())
    same = _same_people(neighbours, body)
    aside = _set_aside(same)
    nearest = np.sort(normalised(_without(neighbours, aside)))
    nearest = nearest[np.isfinite(nearest)]
    shares = (np.arange(len(nearest)) + 0.5) / max(len(nearest), 1)
    fitted = (shares >= _FITTED[0]) & (shares <= _FITTED[1])
    scores, heights = nearest[fitted], np.log(-np.log1p(-shares[fitted]))
    if len(nearest) < FEWEST or np.ptp(scores) <= 0:
        return Estimate(None, same)
    # If one person is near to another, the other is near to the one: they count once.
    probes = len(nearest) / (1 + (len(nearest) - 1) / (people - 1))
    own = float(np.polyfit(scores, heights, 1)[0])
    slope = (probes * own + _BORROWED * body.slope(people)) / (probes + _BORROWED)
    intercept = float(heights.mean() - slope * scores.mean())
    # Each probe was compared with one person less than a stranger would be.
    intercept += log(people / (people - 1))
    again = np.isin(neighbours.probes, [each for pair in aside for each in pair])
    return Estimate(Curve(intercept, slope, probes, float(again.mean())), same)


@dataclass(frozen=True, slots=True)
class _Body:
    """Which share of two people is how near.

    The quantile of the normal distribution for that share is a parabola of the squared distance,
    because cosines are nearly normal with some skew; and nearly a line of the distance. Both are
    fitted to the nearer half without the nearest: pairs of one person under two ids may be about as
    many as people, which is a small share of all pairs.

    parabola: its coefficients, highest power first. deviation: the distance in which the line rises
    by one.
    """

    parabola: tuple[float, float, float]
    deviation: float

    @classmethod
    def of(cls, neighbours: Neighbours) -> "_Body | None":
        least = max(2 / neighbours.people, 10 / len(neighbours.between))
        shares = np.geomspace(least, max(0.5, 6 * least), 16)
        distances = np.quantile(neighbours.between, shares)
        if np.ptp(distances) <= 0:
            return None
        quantiles = [_inverse(share) for share in shares]
        bend, rise, level = np.polyfit(distances**2, quantiles, 2).tolist()
        deviation = float(np.polyfit(quantiles, distances, 1)[0])
        return cls((bend, rise, level), deviation) if deviation > 0 else None

    def nearer(self, distance: float) -> float:
        """Return the share of pairs of two people that are nearer than this."""
        bend, rise, level = self.parabola
        square = distance**2
        if bend > 0:  # beyond its lowest point, a parabola says nothing
            square = max(square, -rise / bend / 2)
        return 0.5 * erfc(-((bend * square + rise) * square + level) / sqrt(2))

    def slope(self, people: int) -> float:
        """Return how fast the log of that share grows where one person in a gallery is so near."""
        low, high = 0.01, 0.7
        between = self.deviation * (_inverse(high / people) - _inverse(low / people))
        return log(high / low) / between


def _same_people(neighbours: Neighbours, body: _Body) -> tuple[SamePerson, ...]:
    """Return the nearest pairs, as many as are far more than two people would explain.

    This is the procedure of Benjamini and Hochberg (1995), which bounds the share of false
    discoveries.
    """
    probes, people = len(neighbours.probes), neighbours.people
    compared = probes * (people - 1) - probes * (probes - 1) // 2
    pairs: dict[tuple[int, int], float] = {}
    for probe, others, distances in zip(
        neighbours.probes.tolist(),
        neighbours.others.tolist(),
        neighbours.distances.tolist(),
        strict=True,
    ):
        for other, distance in zip(others, distances, strict=True):
            pair = (min(probe, other), max(probe, other))
            pairs[pair] = min(distance, pairs.get(pair, distance))
    ordered = sorted((distance, pair) for pair, distance in pairs.items())
    last = 0
    for rank, (distance, _) in enumerate(ordered, start=1):
        expected = compared * body.nearer(distance)
        if expected <= _MOST_WRONG * rank:
            last = rank
        if expected > _MOST_WRONG * len(ordered):
            break
    return tuple(SamePerson(*pair, distance) for distance, pair in ordered[:last])


def _set_aside(same: tuple[SamePerson, ...]) -> set[tuple[int, int]]:
    """Return the pairs that may be one person's: nobody has more than `_MOST_IDS` ids."""
    pairs = {(each.one, each.other) for each in same}
    times = Counter(employee for pair in pairs for employee in pair)
    return {pair for pair in pairs if max(times[each] for each in pair) < _MOST_IDS}


def _without(neighbours: Neighbours, aside: set[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the distances without those between two ids of one person, (n, KEPT)."""
    distances = neighbours.distances.copy()
    concerned = {employee for pair in aside for employee in pair}
    for row in np.flatnonzero(np.isin(neighbours.probes, list(concerned))):
        probe = int(neighbours.probes[row])
        others = neighbours.others[row].tolist()
        kept = [(min(probe, each), max(probe, each)) not in aside for each in others]
        left = distances[row, kept]
        # The people beyond the last one that is known are about as far away as that one.
        distances[row] = left[-1] if len(left) else np.inf
        distances[row, : len(left)] = left
    return distances
