"""Keep α where the gallery's own people say that it must be, and say so in the log."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Event, get_native_id

import structlog

from app.gallery.distances import normalised
from app.gallery.false_matches import HIGHEST, Comparison, Estimate, Share, estimate
from app.gallery.neighbours import Neighbours, find_neighbours
from app.storage import EmployeeStore, StoreUnavailable
from models.catalogue import FaceModel

log = structlog.get_logger()

_REST = 50  # times as long as a measurement took, until the next one
_NICENESS = 10


class Stopped(Exception):
    """The measurement was ended, because the process ends."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the gallery says of itself. fpir: at `threshold`; None if too few are enrolled."""

    neighbours: Neighbours
    estimate: Estimate
    threshold: float
    fpir: Share | None
    seconds: float

    def summary(self) -> dict[str, object]:
        """Return it as JSON, without anybody's id."""
        return {
            "employees": self.neighbours.people,
            "with_one_vector": self.neighbours.single,
            "threshold": self.threshold,
            "fpir": asdict(self.fpir) if self.fpir else None,
            "likely_under_two_ids": len(self.estimate.same),
            "compared": len(self.neighbours.probes),
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """threshold: α, or None if the gallery decides. max_fpir: the share of strangers let in."""

    threshold: float | None
    max_fpir: float

    @property
    def highest(self) -> float:
        """The highest α that may be in force."""
        return HIGHEST if self.threshold is None else self.threshold


class SelfMeasurement:
    """Measures the gallery when it has changed, and holds the α in force.

    comparison: what α is compared with in a login. quiet: log nothing.
    every_s: how often `keep_measuring` looks for changes.
    """

    def __init__(
        self,
        store: EmployeeStore,
        model: FaceModel,
        policy: Policy,
        comparison: Comparison = normalised,
        *,
        quiet: bool = False,
        every_s: float = 60.0,
    ) -> None:
        self._store = store
        self._model = model
        self._policy = policy
        self._comparison = comparison
        self._quiet = quiet
        self._every_s = every_s
        self._logged: tuple[float, str] | None = None
        self._position: int | None = None
        self.latest: Measurement | None = None

    @property
    def threshold(self) -> float:
        """The α in force."""
        return self.latest.threshold if self.latest else self._policy.highest

    def measure(self, step: Callable[[int], object] = lambda people: None) -> Measurement:
        """Read the whole store, and change α if it must. Raises StoreUnavailable.

        step: as in `find_neighbours`.
        """
        began = time.monotonic()
        position = self._store.position()
        neighbours = find_neighbours(self._store.read_all, self._model, step)
        found = estimate(neighbours, self._comparison)
        threshold = self._policy.highest
        if self._policy.threshold is None and found.curve:
            threshold = found.curve.threshold(self._policy.max_fpir)
        fpir = found.curve.fpir(threshold) if found.curve else None
        self.latest = Measurement(neighbours, found, threshold, fpir, time.monotonic() - began)
        self._position = position
        if not self._quiet:
            self._log(self.latest)
        return self.latest

    def keep_measuring(self, stop: Event) -> None:
        """Measure whenever somebody has come or gone, on a thread that gives way to logins."""
        with suppress(OSError):  # only Linux has priorities of threads
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)
        busy_since = time.monotonic()

        def give_way(people: int) -> None:
            """Rest as long as the last step took."""
            nonlocal busy_since
            if stop.wait(time.monotonic() - busy_since):
                raise Stopped
            busy_since = time.monotonic()

        pause_s = 0.0
        while not stop.wait(pause_s):
            busy_since = time.monotonic()
            pause_s = self._every_s
            try:
                if self._store.position() != self._position:
                    pause_s = max(self._every_s, _REST * self.measure(give_way).seconds)
            except (Stopped, StoreUnavailable):
                continue
            except Exception:
                if not stop.is_set():
                    log.exception("the gallery cannot be measured, α stays", alpha=self.threshold)

    def _log(self, measured: Measurement) -> None:
        """Log what is new: a warning if more strangers are let in than MAX_FPIR allows."""
        share = measured.fpir
        news = measured.threshold, f"{share.estimate:.1g}" if share else ""
        if news == self._logged:
            return
        before, self._logged = self._logged, news
        facts: dict[str, object] = {
            "threshold": measured.threshold,
            "employees": measured.neighbours.people,
            "likely_under_two_ids": len(measured.estimate.same),
        }
        if share is None:
            log.info("too few employees to say how many strangers are let in", **facts)
            return
        facts["fpir"] = f"{share.estimate:.2%} ({share.low:.2%} to {share.high:.2%})"
        if before and before[0] != measured.threshold:
            log.info("LOGIN_MATCH_THRESHOLD=auto has moved", before=before[0], **facts)
        if share.estimate > self._policy.max_fpir:
            log.warning("more strangers may be let in than MAX_FPIR says", **facts)
        else:
            log.info("the gallery was measured", **facts)
