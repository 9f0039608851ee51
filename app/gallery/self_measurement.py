"""Keep α where the gallery's own people say that it must be, and say so in the log."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Event, get_native_id

import structlog

from app.gallery.false_matches import FEWEST, HIGHEST, LOWEST, Estimate, Share, estimate
from app.gallery.neighbours import find_neighbours
from app.storage import EmployeeStore, StoreUnavailable
from models.catalogue import FaceModel

log = structlog.get_logger()

_REST = 50  # times as long as a measurement took, until the next one
_NICENESS = 10


class Stopped(Exception):
    """The measurement was ended, because the process ends."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the gallery says of itself.

    people: how many have vectors that can be compared. single: how many of them have one vector.
    first_single: as of `Neighbours`. compared: how many were compared with all others.
    fpir: at `threshold`; None if the people are too few, or too much alike.
    """

    people: int
    single: int
    first_single: tuple[int, ...]
    compared: int
    estimate: Estimate
    threshold: float
    fpir: Share | None

    def summary(self) -> dict[str, object]:
        """Return it as JSON, without anybody's id."""
        return {
            "employees": self.people,
            "with_one_vector": self.single,
            "threshold": self.threshold,
            "fpir": asdict(self.fpir) if self.fpir else None,
            "likely_under_two_ids": len(self.estimate.same),
            "compared": self.compared,
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

    quiet: log nothing.
    every_s: how often `keep_measuring` looks for changes.
    """

    def __init__(
        self,
        store: EmployeeStore,
        model: FaceModel,
        policy: Policy,
        *,
        quiet: bool = False,
        every_s: float = 60.0,
    ) -> None:
        self._store = store
        self._model = model
        self._policy = policy
        self._quiet = quiet
        self._every_s = every_s
        self._logged: tuple[float, str, int] | None = None
        self._position: int | None = None
        self.latest: Measurement | None = None

    @property
    def threshold(self) -> float:
        """The α in force: the lowest if `auto` has measured nothing yet."""
        if self.latest:
            return self.latest.threshold
        return LOWEST if self._policy.threshold is None else self._policy.threshold

    def measure(self, step: Callable[[int], object] = lambda people: None) -> Measurement:
        """Read the whole store, and change α if it must. Raises StoreUnavailable.

        step: as in `find_neighbours`.
        """
        position = self._store.position()
        neighbours = find_neighbours(self._store.read_all, self._model, step)
        found = estimate(neighbours)
        threshold = self._policy.threshold
        if threshold is None and found.curve:
            threshold = found.curve.threshold(self._policy.max_fpir)
        elif threshold is None:
            threshold = HIGHEST if neighbours.people < FEWEST else LOWEST
        fpir = found.curve.fpir(threshold) if found.curve else None
        self.latest = Measurement(
            neighbours.people,
            neighbours.single,
            neighbours.first_single,
            len(neighbours.probes),
            found,
            threshold,
            fpir,
        )
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
            began = busy_since = time.monotonic()
            try:
                if self._store.position() != self._position:
                    self.measure(give_way)
            except (Stopped, StoreUnavailable):
                pass
            except Exception:
                if not stop.is_set():
                    log.exception("the gallery cannot be measured, α stays", alpha=self.threshold)
            pause_s = max(self._every_s, _REST * (time.monotonic() - began))

    def _log(self, measured: Measurement) -> None:
        """Log what is new; warn if α rose, or if more strangers may be let in than wanted."""
        share, same = measured.fpir, len(measured.estimate.same)
        news = measured.threshold, f"{share.estimate:.1g}" if share else "", same
        if news == self._logged:
            return
        before, self._logged = self._logged, news
        facts: dict[str, object] = {
            "threshold": measured.threshold,
            "employees": measured.people,
            "likely_under_two_ids": same,
        }
        if share:
            facts["fpir"] = f"{share.estimate:.2%} ({share.low:.2%} to {share.high:.2%})"
        moved = before and before[0] != measured.threshold
        if before and moved:
            say = log.warning if measured.threshold > before[0] else log.info
            say("LOGIN_MATCH_THRESHOLD=auto has moved", before=before[0], **facts)
        if share is None:
            say = log.warning if self._policy.threshold is None else log.info
            say("the employees are too few or too alike to tell how many strangers get in", **facts)
        elif share.estimate > self._policy.max_fpir:
            log.warning("more strangers may be let in than MAX_FPIR says", **facts)
        elif not moved:
            log.info("the gallery was measured", **facts)
