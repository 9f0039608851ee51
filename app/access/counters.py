"""Counters that expire: shared through Redis, or local to this process."""

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

log = structlog.get_logger()

T = TypeVar("T")

MINUTE_S = 60
_REDIS_TIMEOUT_S = 0.25  # a hanging Redis delays a request this long at most
_REDIS_PAUSE_S = 5.0  # before Redis is tried again, and before a problem is logged again


class Counters(Protocol):
    """Thread-safe counters by name."""

    def hit(self, name: str, per_minute: int) -> float:
        """Count a hit and return 0; if the minute is full, return the seconds until it is not."""

    def increment(self, name: str, expires_s: int) -> int:
        """Increment a counter and return its value. It expires `expires_s` after its first use."""

    def remaining_s(self, name: str) -> float:
        """Return the seconds until a counter expires; 0 or less if it does not exist or expire."""

    def reset(self, name: str) -> None:
        """Set a counter to 0."""


class LocalCounters:
    """Counters of this process, on a monotonic clock. Expired counters are deleted."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}  # values and times of expiry
        self._next_cleanup = 0.0
        self._lock = Lock()

    def hit(self, name: str, per_minute: int) -> float:
        """Count in a sliding window: hits of the previous minute count in part.

        They are weighted by the share of that minute that still lies within the last 60 s.
        """
        with self._lock:
            now = time.monotonic()
            window, elapsed_s = divmod(now, MINUTE_S)
            this, last = f"{name}/{window:.0f}", f"{name}/{window - 1:.0f}"
            current, previous = self._get(this, now), self._get(last, now)
            if previous * (1 - elapsed_s / MINUTE_S) + current < per_minute:
                self._increment(this, 2 * MINUTE_S, now)
                return 0.0
            share = (per_minute - current) / previous if current < per_minute else 0.0
            return max(MINUTE_S * (1 - share) - elapsed_s, 0.001)

    def increment(self, name: str, expires_s: int) -> int:
        with self._lock:
            return self._increment(name, expires_s, time.monotonic())

    def remaining_s(self, name: str) -> float:
        with self._lock:
            _, expiry = self._counts.get(name, (0, 0.0))
            return expiry - time.monotonic()

    def reset(self, name: str) -> None:
        with self._lock:
            self._counts.pop(name, None)

    def _get(self, name: str, now: float) -> int:
        count, expiry = self._counts.get(name, (0, 0.0))
        return count if now < expiry else 0

    def _increment(self, name: str, expires_s: float, now: float) -> int:
        self._delete_expired(now)
        count = self._get(name, now) + 1
        expiry = self._counts[name][1] if count > 1 else now + expires_s
        self._counts[name] = count, expiry
        return count

    def _delete_expired(self, now: float) -> None:
        if now >= self._next_cleanup:
            self._next_cleanup = now + MINUTE_S
            self._counts = {name: count for name, count in self._counts.items() if now < count[1]}


class RedisCounters:
    """Counters in Redis, on Redis's clock.

    Every method may raise one of `errors`. One of `data_errors` means that Redis answered.
    """

    def __init__(self, url: str) -> None:
        """Connect when first used. Raises ValueError if the URL is malformed."""
        import redis  # slow to import, and most services do not use it

        self.data_errors = (redis.ResponseError, ValueError, TypeError)
        self.errors = (redis.RedisError, *self.data_errors)
        self._storage = RedisStorage(
            url,
            key_prefix="image-registration",
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
        )
        self._client: Any = self._storage.get_connection()
        self._window = SlidingWindowCounterRateLimiter(self._storage)

    def hit(self, name: str, per_minute: int) -> float:
        item = RateLimitItemPerMinute(per_minute)
        if self._window.hit(item, name):
            return 0.0
        wait_s = self._window.get_window_stats(item, name).reset_time - time.time()
        return max(wait_s, 0.001) if math.isfinite(wait_s) else 1.0

    def increment(self, name: str, expires_s: int) -> int:
        return self._storage.incr(name, expires_s)

    def remaining_s(self, name: str) -> float:
        return float(self._client.pttl(self._storage.prefixed_key(name))) / 1000

    def reset(self, name: str) -> None:
        self._storage.clear(name)


class SharedCounters:
    """Counters in Redis, with local ones as the fallback if Redis is not set up or fails."""

    def __init__(self, redis_url: str | None) -> None:
        """Raises ValueError if the URL is malformed."""
        self._local = LocalCounters()
        self._redis = RedisCounters(redis_url) if redis_url else None
        self._retry_at = self._log_again_at = 0.0
        self.call(lambda counters: counters.remaining_s("start"))  # logs if Redis is unavailable

    def call(self, operation: Callable[[Counters], T]) -> T:
        """Return the operation's result on Redis; on the local counters if Redis fails."""
        if self._redis and time.monotonic() >= self._retry_at:
            try:
                return operation(self._redis)
            except self._redis.errors as error:
                self._note(error, redis_answered=isinstance(error, self._redis.data_errors))
        return operation(self._local)

    def _note(self, error: Exception, redis_answered: bool) -> None:
        now, cause = time.monotonic(), f"{type(error).__name__}: {error}"[:200]
        if not redis_answered:
            self._retry_at = now + _REDIS_PAUSE_S
            log.error(
                "Redis (REDIS_URL) is unavailable, each process counts on its own", cause=cause
            )
        elif now >= self._log_again_at:
            self._log_again_at = now + _REDIS_PAUSE_S
            log.error("Redis (REDIS_URL) holds a value that is not a counter", cause=cause)
