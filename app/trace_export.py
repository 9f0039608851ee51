"""Send spans to an OpenTelemetry collector: OTLP over HTTP, in JSON.

https://opentelemetry.io/docs/specs/otlp/ describes the protocol. docs/dependencies.md says why this
is no library.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from queue import Full, Queue
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import requests
import structlog

from app.stages import Stage
from app.traces import Trace, new_id
from app.version import VERSION

log = structlog.get_logger()

Span = dict[str, Any]

_PATH = "/v1/traces"
_MOST = 2_048  # requests that wait to be sent
_EVERY_S = 1.0
_TIMEOUT_S, _LAST_TIMEOUT_S = 5.0, 1.0  # for the collector's answer; the last when the worker ends
_SERVER, _INTERNAL, _FAILED = 2, 1, 2  # kinds of span and a status, by the protocol's numbers
_RESOURCE = {"service.name": "image-registration-service", "service.version": VERSION}


class Answered(NamedTuple):
    """A request that has been answered.

    route: the address without its numbers, so that no span tells an employee's id; None if there is
    nothing at the address. code: of the error, if it is one. ended: on the clock of
    time.perf_counter.
    """

    trace: Trace
    method: str
    route: str | None
    status: int
    code: str | None
    ended: float
    seconds: float
    stages: Sequence[Stage]


class TraceExport:
    """Sends a span for each request, with a child for each of its stages, in the background.

    No request waits for the collector: what it does not take at once is dropped.

    endpoint: address of the collector. dropped: is told how many requests were dropped.
    """

    def __init__(self, endpoint: str, dropped: Callable[[int], None]) -> None:
        self._url = endpoint + _PATH
        self._dropped = dropped
        self._waiting: Queue[Answered] = Queue(_MOST)
        self._is_failing = False
        self._stop = Event()
        self._sending = Lock()
        Thread(target=self._run, name="traces", daemon=True).start()

    def add(self, answered: Answered) -> None:
        """Send this soon, unless whoever began the trace does not keep it."""
        if not answered.trace.is_sampled:
            return
        try:
            self._waiting.put_nowait(answered)
        except Full:
            self._dropped(1)

    def close(self) -> None:
        """Send what is waiting, if the collector takes it in time, and stop."""
        self._stop.set()
        if self._sending.acquire(timeout=_LAST_TIMEOUT_S):
            try:
                self._send(_LAST_TIMEOUT_S)
            finally:
                self._sending.release()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            with self._sending:
                self._send(_TIMEOUT_S)

    def _send(self, timeout_s: float) -> None:
        batch = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        if not batch:
            return
        try:
            answer = requests.post(self._url, json=_message(batch), timeout=timeout_s)
            if not answer.ok:
                raise requests.HTTPError(f"status {answer.status_code}")
        except requests.RequestException as error:
            self._dropped(len(batch))
            if not self._is_failing:
                log.warning("traces cannot be sent", reason=str(error))
            self._is_failing = True
        else:
            if self._is_failing:
                log.info("traces are sent again")
            self._is_failing = False


def _message(batch: Sequence[Answered]) -> dict[str, object]:
    since_1970 = time.time() - time.perf_counter()
    spans = [span for answered in batch for span in _spans(answered, since_1970)]
    scope = {"scope": {"name": __name__, "version": VERSION}, "spans": spans}
    resource = {"attributes": _attributes(_RESOURCE)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _spans(answered: Answered, since_1970: float) -> Iterator[Span]:
    """Yield the spans. since_1970: seconds from then to the zero of time.perf_counter."""
    trace = answered.trace

    def span(name: str, began: float, seconds: float, **members: object) -> Span:
        began += since_1970
        times = {"startTimeUnixNano": _ns(began), "endTimeUnixNano": _ns(began + seconds)}
        return {"traceId": trace.trace_id, "name": name, **times, **members}

    name = f"{answered.method} {answered.route or ''}".rstrip()
    own = span(name, answered.ended - answered.seconds, answered.seconds, spanId=trace.span_id)
    facts = {
        "http.request.method": answered.method,
        "http.route": answered.route,
        "http.response.status_code": answered.status,
        "error.type": answered.code,
    }
    own |= {"kind": _SERVER, "attributes": _attributes(facts)}
    if trace.parent_id:
        own["parentSpanId"] = trace.parent_id
    if answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        own["status"] = {"code": _FAILED}
    yield own
    for stage in answered.stages:
        yield span(*stage, spanId=new_id(), parentSpanId=trace.span_id, kind=_INTERNAL)


def _ns(seconds: float) -> str:
    return str(round(seconds * 1e9))


def _attributes(facts: Mapping[str, str | int | None]) -> list[dict[str, object]]:
    """Return the facts that are known, as the protocol wants them: integers as text."""
    return [
        {
            "key": name,
            "value": {"intValue": str(fact)} if isinstance(fact, int) else {"stringValue": fact},
        }
        for name, fact in facts.items()
        if fact is not None
    ]
