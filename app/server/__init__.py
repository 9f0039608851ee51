"""HTTP as it comes over a socket: gunicorn's processes, uvicorn's worker, and whole requests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker spends on its clients.

    threads: requests that the app answers at once.
    connections: that may be open.
    patience_s: how long a request may take to come in, and an answer to go out, in seconds.
    longest_body: of one request, in bytes.
    held: bytes of all bodies together, from their first byte to the answer; as many again of
        answers that are on their way.
    """

    threads: int
    connections: int
    patience_s: float
    longest_body: int
    held: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the app is given a request without its body; it is the answer.

    code: stable, for programs. sentence: for a person. retry_after_s: as in `Retry-After`.
    """

    status: int
    code: str
    sentence: str
    retry_after_s: int | None = None


MALFORMED = Refusal(400, "bad_request", "the request is malformed")
SLOW_S = 2.0
"""A client that has been waited for longer than this makes room for others."""

REFUSAL = "image_registration.refusal"
"""The key of a WSGI environment that holds the Refusal, if the request was not received."""
