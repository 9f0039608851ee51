"""How calls are sent: the address, the number of attempts, and the pauses between them."""

import random
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx

from image_registration.errors import NoAnswer, ServiceError


@dataclass(frozen=True)
class Retry:
    """How patient a client is.

    attempts: how often a call is sent at most; 1 never repeats.
    deadline_s: seconds after which no attempt begins.
    backoff_s: wait before the second attempt, which doubles with each; up to half of it is left
    out at random, so that clients do not return together.
    """

    attempts: int = 5
    deadline_s: float = 30.0
    backoff_s: float = 0.2


PATIENT = Retry()


def options(
    url: str, api_key: str | None, timeout_s: float, verify: ssl.SSLContext | bool
) -> dict[str, Any]:
    """Return the options of an httpx client."""
    return {
        "base_url": f"{url.rstrip('/')}/api/v2",
        "headers": {} if api_key is None else {"X-API-Key": api_key},
        "timeout": timeout_s,
        "verify": verify,
    }


class Attempts:
    """The attempts of one call, the first of which begins now. is_login: as of Call."""

    def __init__(self, is_login: bool, retry: Retry) -> None:
        self._is_login = is_login
        self._retry = retry
        self._ends = time.monotonic() + retry.deadline_s
        self._made = 0

    def wait_after(self, error: httpx.RequestError | ServiceError) -> float:
        """Return the seconds until the next attempt. Raises ServiceError or NoAnswer to give up."""
        self._made += 1
        share = random.uniform(0.5, 1)  # noqa: S311  it is no secret
        wait = share * self._retry.backoff_s * 2.0 ** (self._made - 1)
        if isinstance(error, ServiceError):
            wait += error.retry_after or 0
        is_late = self._made >= self._retry.attempts or time.monotonic() + wait > self._ends
        if not is_late and self._may_help(error):
            return wait
        if isinstance(error, ServiceError):
            raise error
        raise NoAnswer(f"no answer after {self._made} attempts: {error!r}") from error

    def _may_help(self, error: httpx.RequestError | ServiceError) -> bool:
        if isinstance(error, ServiceError):
            # A proxy's 502 or 504 does not say whether the service has refused a login.
            surely_undone = error.status in (429, 503) or not self._is_login
            is_over = error.retry_after is None or error.code == "too_many_failures"
            return surely_undone and not is_over
        surely_undone = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return surely_undone or not self._is_login
