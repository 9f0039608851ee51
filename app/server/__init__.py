"""Serve HTTP: gunicorn runs uvicorn workers, which pass whole requests to the WSGI app."""

from dataclasses import dataclass
from typing import Protocol

FINISH_S = 15
"""Seconds in which requests in progress are answered, after the worker has stopped listening."""

STREAMED = "image_registration.streamed"
"""Set in the WSGI environment by an answer whose parts are to be sent while they are made."""


def leaving_s(drain_s: float) -> float:
    """Return the seconds within which a worker that is told to stop has ended."""
    return drain_s + FINISH_S + 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """The resources that one worker spends on its clients.

    threads: requests that the app processes at once.
    connections: open connections.
    timeout_s: seconds in which a request must arrive, and in which a client must take its answer.
    max_body: bytes of one request's body.
    buffered: bytes of all bodies together, each counted from its first byte until the request is
        answered. All answers that are being sent may take as many bytes again.
    drain_s: seconds for which a worker that leaves still answers new requests.
    """

    threads: int
    connections: int
    timeout_s: float
    max_body: int
    buffered: int
    drain_s: float


class Served(Protocol):
    """What the server asks of the service behind the app."""

    @property
    def is_loaded(self) -> bool:
        """Whether it has loaded what it needs to answer."""

    def leave(self) -> None:
        """Report from now on that it is not ready, but go on answering."""

    def stop(self) -> None:
        """Release everything. Called before the process ends."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request whose body is not received; the app gets the refusal instead.

    code: stable, for programs. sentence: for a person. retry_after_s: as in `Retry-After`.
    """

    status: int
    code: str
    sentence: str
    retry_after_s: int | None = None


MALFORMED = Refusal(400, "bad_request", "the request is malformed")
SLOW_S = 2.0
"""A client that has kept the worker waiting for longer may be dropped in favour of others."""

REFUSAL = "image_registration.refusal"
"""Key in the WSGI environment for the Refusal, if the request was not received."""
