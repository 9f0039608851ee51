"""The trace that a request belongs to, as https://www.w3.org/TR/trace-context/ defines it."""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

# version, trace id, id of the caller's span, flags
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_LENGTH = 55  # characters; later versions may append to them
_SAMPLED = 1  # a flag: whoever began the trace keeps it


@dataclass(frozen=True, slots=True)
class Trace:
    """A request's place in a trace. Ids are in hexadecimal digits.

    trace_id: 16 bytes. span_id: 8 bytes, of the request itself. parent_id: of the caller's span.
    is_sampled: whether the trace is kept.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        """The header for services that this one asks on behalf of the request."""
        return f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def begin(traceparent: str, *, may_be_new: bool) -> Trace | None:
    """Return the trace of the request that begins, and remember it until the next one.

    traceparent: the header, or "". may_be_new: whether a request of no trace begins a new one.
    """
    trace = None
    if match := _TRACEPARENT.fullmatch(traceparent[:_LENGTH]):
        trace_id, parent_id, flags = match.groups()
        trace = Trace(trace_id, new_id(), parent_id, bool(int(flags, 16) & _SAMPLED))
    elif may_be_new:
        trace = Trace(secrets.token_hex(16), new_id(), None, is_sampled=True)
    _current.set(trace)
    return trace


def current() -> Trace | None:
    """Return the trace of the current request. What the request starts is in it, too."""
    return _current.get()


def new_id() -> str:
    """Return the id of a new span."""
    return secrets.token_hex(8)
