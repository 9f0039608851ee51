"""Time in turns: A, B, C, A, B, C …, so that other load on the machine affects all alike."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SETTLE_S = 0.005  # pause between cases, because PyTorch's threads spin on after their work


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: a few rounds to try things out, or enough to report."""

    quick: bool

    def __call__(self, quick: int, full: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Timings:
    """case → the seconds of each round."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: str, seconds: float) -> None:
        self.seconds[case].append(seconds)

    def timed(self, case: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever it returns
        """Return what the call returns, and note how long it took."""
        began = time.perf_counter()
        result = call()
        self.add(case, time.perf_counter() - began)
        return result

    def median_ms(self, case: str) -> float:
        return float(np.median(self.seconds[case])) * 1e3

    def summary(self) -> dict[str, dict[str, float]]:
        """Return median, least, quartiles and number of rounds of each case, in milliseconds."""
        return {
            case: {
                "median_ms": self.median_ms(case),
                "least_ms": min(seconds) * 1e3,
                "lower_quartile_ms": float(np.quantile(seconds, 0.25)) * 1e3,
                "upper_quartile_ms": float(np.quantile(seconds, 0.75)) * 1e3,
                "rounds": len(seconds),
            }
            for case, seconds in self.seconds.items()
        }


def interleave(cases: Mapping[str, Callable[[int], Any]], rounds: int, warm: int = 2) -> Timings:
    """Time every case once in each round. Each is called with the number of the round.

    warm: untimed rounds before the first.
    """
    timings = Timings()
    for number in range(-warm, rounds):
        for case, call in cases.items():
            time.sleep(SETTLE_S)
            began = time.perf_counter()
            call(max(number, 0))
            if number >= 0:
                timings.add(case, time.perf_counter() - began)
    return timings
