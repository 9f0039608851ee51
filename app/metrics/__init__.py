"""What the service counts for Prometheus. docs/monitoring.md describes every metric."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from threading import Thread
from time import sleep

from app import traces
from app.metrics.cells import Cells
from app.metrics.families import Age, Counter, Histogram, Level

PREFIX = "image_registration"

ENDPOINTS = (
    *("find_match", "enrol", "replace", "get_all", "remove", "export"),
    *("identifications", "verifications", "candidates", "comparisons", "faces"),
    *("feature_vectors", "healthz", "readyz", "metrics", "version", "openapi"),
    *("put_employee", "show_employee", "change_employee", "remove_employee", "list_employees"),
    *("liveness_sessions", "add_sample", "remove_sample", "export_all", "import_all"),
    *("audit_entries", "system", "docs", "start", "me", "gallery"),
    *("to_console", "console", "console_file"),
)
STAGES = ("recognition", "search", "index", "store", "liveness")
"""Stages of a request whose time is measured."""

_STATUSES = (
    *("200", "201", "204", "302", "400", "401", "403", "404", "405", "406", "408", "409", "410"),
    *("412", "413", "414", "415", "422", "429", "431", "500", "503"),
)
_UNAVAILABLE = (
    *("not_ready", "overloaded", "store_unavailable", "index_unavailable"),
    *("liveness_unavailable", "audit_unavailable"),
)
_PICTURES = (
    *("no_face", "several_faces", "different_people", "face_too_small", "face_too_blurred"),
    *("image_too_large", "face_too_noisy", "poor_light", "face_turned", "face_covered"),
    *("picture_stretched", "not_an_image", "bad_frame"),
)
CODES = (
    *("bad_request", "wrong_dimension", "page_too_large", "key_missing", "key_unknown"),
    *("key_insufficient", "foreign_page", "no_such_employee", "not_found", "method_not_allowed"),
    *("no_match", "not_verified", "not_alive", "fraud_suspected", "too_slow", "employee_exists"),
    *("session_gone", "external_id_taken", "last_sample", "too_many_samples", "other_model"),
    *("no_such_sample", "precondition_failed", "group_forbidden", "face_enrolled"),
    *("body_too_large", "target_too_long", "head_too_large", "not_json"),
    *("encoded", "unusable_image", "too_many_requests", "too_many_failures", "internal_error"),
    *("no_audit_file", "cursor_expired", "bad_export"),
    *_PICTURES,
    *_UNAVAILABLE,
)
"""The codes of all errors, as docs/api.md and docs/api-v2.md list them."""
_THROTTLED = "too_many_failures"
OUTCOMES = (
    *("match", "no_match", "ambiguous", "not_verified", "not_alive", "fraud_suspected"),
    *("throttled", "session_gone"),
    *_PICTURES,
    *_UNAVAILABLE,
)
"""How a login may end."""
_IDENTIFICATION, _VERIFICATION = "identification", "verification"
_KINDS = {"login": _IDENTIFICATION, "verify": _VERIFICATION}  # by the audit log's actions

LEVELS = {
    "request_slots": "Logins and enrolments that may be answered at once.",
    "request_slots_used": "Logins and enrolments that are being answered.",
    "picture_slots": "Photos that may be processed at once.",
    "picture_slots_used": "Photos that are being processed.",
    "pictures_waiting": "Photos that wait for a slot.",
    "body_bytes": "Bytes held of bodies that arrive or whose requests are being answered.",
    "body_bytes_limit": "Bytes of bodies that may be held.",
    "liveness_breakers_open": "Workers that do not call the liveness service, as it keeps failing.",
}
"""What the workers are asked every second, summed over all of them."""

_LOOK_EVERY_S = 1.0
# One bound is the limit of the alert LoginsAreSlow, so that a quantile tells which side it is on.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_DISTANCES = (
    *(0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    *(1, 1.1, 1.2, 1.4),
)


class Metrics:
    """Counts what happens, in all workers together. Thread-safe.

    Create it before the workers are forked; each worker then calls `begin_worker`. No label holds
    anything about a person.

    workers: how many there are, except while they are replaced.
    """

    def __init__(self, workers: int = 1) -> None:
        # While workers are replaced, old and new ones run.
        cells = self._cells = Cells(4 * workers + 4)
        self._requests = Counter(
            cells,
            f"{PREFIX}_requests_total",
            "Answered requests.",
            {"endpoint": ENDPOINTS, "status": _STATUSES},
        )
        self._request_seconds = Histogram(
            cells,
            f"{PREFIX}_request_seconds",
            "Time from a whole request to its answer.",
            _SECONDS,
            {"endpoint": ENDPOINTS},
        )
        self._stage_seconds = Histogram(
            cells,
            f"{PREFIX}_stage_seconds",
            "Time that a request spent in a stage.",
            _SECONDS,
            {"stage": STAGES},
        )
        self._errors = Counter(
            cells, f"{PREFIX}_errors_total", "Error answers by their code.", {"code": CODES}
        )
        self._logins = Counter(
            cells,
            f"{PREFIX}_logins_total",
            "Logins by their kind and outcome.",
            {"kind": tuple(_KINDS.values()), "outcome": OUTCOMES},
        )
        self._distances = Histogram(
            cells,
            f"{PREFIX}_login_distance",
            "Distance of an identification to the nearest employee.",
            _DISTANCES,
            has_exemplars=True,
        )
        self._starts = Counter(cells, f"{PREFIX}_worker_starts_total", "Workers started.")
        self._dropped = Counter(
            cells, f"{PREFIX}_traces_dropped_total", "Traces that the collector did not take."
        )
        self._in_flight = Level(
            cells, f"{PREFIX}_requests_in_flight", "Requests that are being answered."
        )
        self._watched: dict[str, Callable[[], float | None]] = {}
        self._levels = {
            name: Level(cells, f"{PREFIX}_{name}", about) for name, about in LEVELS.items()
        }
        self._levels["gallery_age_seconds"] = Age(
            cells,
            f"{PREFIX}_gallery_age_seconds",
            "Time since the worker that is furthest behind caught up with the database.",
        )
        self._families = (
            *(self._requests, self._request_seconds, self._stage_seconds, self._errors),
            *(self._logins, self._distances, self._starts, self._dropped, self._in_flight),
            *self._levels.values(),
        )

    def begin_worker(self) -> None:
        """Count in this process from now on. Call this once, after the fork."""
        self._cells.claim_row()
        self._starts.add()
        Thread(target=self._keep_looking, name="metrics", daemon=True).start()

    def worker_ended(self) -> None:
        """Forget the levels of workers that have ended. The process that forks them calls this."""
        self._cells.clear_dead()

    def watch(self, **levels: Callable[[], float | None]) -> None:
        """Look at these levels of this process every second. None: it is not known yet.

        levels: functions that return them, by name: one of LEVELS, or `gallery_age_seconds`, for
        which it is the moment on the clock of time.monotonic.
        """
        self._watched = {**self._watched, **levels}

    def request_began(self) -> None:
        """Note that a request is being answered, until `request_ended`."""
        self._in_flight.add(1)

    def request_ended(self) -> None:
        """Note that the request has ended."""
        self._in_flight.add(-1)

    def answered(
        self,
        endpoint: str,
        status: int,
        code: str | None,
        seconds: float,
        stages: Mapping[str, float],
    ) -> None:
        """Count an answer. code: of the error, if it is one. stages: seconds spent in each."""
        self._requests.add(endpoint, str(status))
        self._request_seconds.observe(seconds, endpoint)
        for stage, spent in stages.items():
            self._stage_seconds.observe(spent, stage)
        if code is not None:
            self._errors.add(code)
        if code == _THROTTLED:
            is_claim = endpoint == "verifications"
            self._logins.add(_VERIFICATION if is_claim else _IDENTIFICATION, "throttled")

    def acted(self, action: str, outcome: str, facts: Mapping[str, object]) -> None:
        """Count what the audit log is told."""
        kind = _KINDS.get(action)
        if kind is None:
            return
        self._logins.add(kind, "match" if outcome == "ok" else outcome)
        if kind == _VERIFICATION:
            return  # its distance is not normalised, and so on another scale
        distance = facts.get("distance")
        # It is infinite if the nearest record holds no vector; a sum would never recover from that.
        if isinstance(distance, float) and isfinite(distance):
            trace = traces.current()
            kept = trace.trace_id if trace and trace.is_sampled else None
            self._distances.observe(distance, trace_id=kept)

    def traces_dropped(self, requests: int) -> None:
        """Count requests whose traces were dropped."""
        self._dropped.add(amount=requests)

    def lines(self, *, open_metrics: bool) -> Iterator[str]:
        """Yield what all workers have counted, in the format OpenMetrics or in the plain one."""
        self._look()
        for family in self._families:
            yield from family.lines(open_metrics=open_metrics)

    def levels(self) -> dict[str, float]:
        """Return each of LEVELS, summed over all workers."""
        self._look()
        return {name: self._levels[name].number for name in LEVELS}

    def _keep_looking(self) -> None:
        while True:
            self._look()
            sleep(_LOOK_EVERY_S)

    def _look(self) -> None:
        for name, level in self._watched.items():
            if (number := level()) is not None:
                self._levels[name].put(number)
