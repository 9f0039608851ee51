"""How often an address or a key may ask, and how soon after failed logins."""

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

import structlog
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

log = structlog.get_logger()

Counters = MemoryStorage | RedisStorage
T = TypeVar("T")

LONGEST_DELAY_S = 300
FAILURES_FORGOTTEN_S = 3600
_REDIS_TIMEOUT_S = 0.25
_REDIS_AGAIN_S = 5.0


class TooManyRequests(Exception):
    """The limit is reached.

    retry_after_s: in how many seconds asking again may help.
    """

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class TooManyFailures(TooManyRequests):
    """Too many logins failed from that address: the next one has to wait."""


class Limits:
    """Counts requests and failed logins. Thread-safe.

    Counts are shared through Redis, or kept by each process. While Redis is away each process
    counts on its own.

    per_address, per_key: requests a minute; 0 for no limit.
    failures: failed logins in a row that an address has free; 0 for no limit.
    """

    def __init__(
        self, per_address: int, per_key: int, failures: int, redis_url: str | None = None
    ) -> None:
        self._per_minute = {"address": per_address, "key": per_key}
        self._failures = failures
        self._counters = _Counters(redis_url)

    def check(self, address: str, key_id: str | None) -> None:
        """Count a request. Raises TooManyRequests."""
        self._count("address", _network(address))
        if key_id is not None:
            self._count("key", key_id)

    def check_login(self, address: str) -> None:
        """Raise TooManyFailures while the address has to wait."""
        if not self._failures:
            return
        name = f"wait/{_network(address)}"
        until = self._counters.ask(lambda on: on.get_expiry(name) if on.get(name) else None)
        if until is not None:
            raise TooManyFailures("too many failed logins, wait a little", until - time.time())

    def login_failed(self, address: str) -> None:
        """Count it, and make the address wait where it has no free ones left."""
        if not self._failures:
            return
        network = _network(address)
        counted = self._counters.ask(
            lambda on: on.incr(f"failures/{network}", FAILURES_FORGOTTEN_S)
        )
        if delay := wait_after(counted, self._failures):
            self._counters.ask(lambda on: on.incr(f"wait/{network}", delay))

    def login_succeeded(self, address: str) -> None:
        """The address starts anew."""
        if self._failures:
            self._counters.ask(lambda on: on.clear(f"failures/{_network(address)}"))

    def _count(self, kind: str, who: str) -> None:
        if not (most := self._per_minute[kind]):
            return
        item = RateLimitItemPerMinute(most)

        def hit(counters: Counters) -> float:
            """When there is room again; 0 when there is."""
            window = SlidingWindowCounterRateLimiter(counters)
            if window.hit(item, kind, who):
                return 0.0
            return window.get_window_stats(item, kind, who).reset_time

        if again := self._counters.ask(hit):
            raise TooManyRequests("too many requests, wait a little", again - time.time())


def wait_after(failures: int, free: int) -> int:
    """The seconds to wait after so many failures: 1, 2, 4, … up to five minutes."""
    return min(2 ** min(failures - free, 20), LONGEST_DELAY_S) if failures >= free else 0


class _Counters:
    """Counters in Redis, or in this process where there is none or it is away."""

    def __init__(self, redis_url: str | None) -> None:
        self._own = MemoryStorage()
        self._redis_again_at = 0.0
        self._redis = redis_url and RedisStorage(
            redis_url,
            wrap_exceptions=True,
            key_prefix="image-registration",
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
        )
        self.ask(lambda on: on.get("start"))  # says at once if Redis is away

    def ask(self, question: Callable[[Counters], T]) -> T:
        if self._redis and time.monotonic() >= self._redis_again_at:
            try:
                return question(self._redis)
            except StorageError as error:
                self._redis_again_at = time.monotonic() + _REDIS_AGAIN_S
                cause = type(error.storage_error).__name__
                log.error("Redis (REDIS_URL) is away, each process counts on its own", cause=cause)
        return question(self._own)


def _network(address: str) -> str:
    """IPv6 addresses of one /64 are one customer's."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network(f"{parsed}/64", strict=False))
    return str(parsed)
