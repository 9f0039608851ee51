"""Counts that are forgotten after a while: shared through Redis, or kept by this process."""

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
_REDIS_TIMEOUT_S = 0.25
_AGAIN_S = 5.0


class Counters(Protocol):
    """Thread-safe counts by name."""

    def hit(self, name: str, most: int) -> float:
        """Count one of `most` a minute. The seconds until there is room, if there is none now."""

    def count(self, name: str, kept_s: int) -> int:
        """Count up, and say how far; the count is forgotten so many seconds after its first."""

    def left_s(self, name: str) -> float:
        """The seconds until a count is forgotten; 0 or less if it does not end, or is not there."""

    def forget(self, name: str) -> None:
        """Begin that count anew."""


class OwnCounters:
    """In this process, by a clock that does not jump. What is forgotten takes no memory."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}  # and when each is forgotten
        self._tidy_at = 0.0
        self._lock = Lock()

    def hit(self, name: str, most: int) -> float:
        """The minute before counts too, for the share of it that is less than a minute ago."""
        with self._lock:
            now = time.monotonic()
            window, into_s = divmod(now, MINUTE_S)
            this, last = f"{name}/{window:.0f}", f"{name}/{window - 1:.0f}"
            current, before = self._get(this, now), self._get(last, now)
            if before * (1 - into_s / MINUTE_S) + current < most:
                self._up(this, 2 * MINUTE_S, now)
                return 0.0
            share = (most - current) / before if current < most else 0.0
            return max(MINUTE_S * (1 - share) - into_s, 0.001)

    def count(self, name: str, kept_s: int) -> int:
        with self._lock:
            return self._up(name, kept_s, time.monotonic())

    def left_s(self, name: str) -> float:
        with self._lock:
            _, until = self._counts.get(name, (0, 0.0))
            return until - time.monotonic()

    def forget(self, name: str) -> None:
        with self._lock:
            self._counts.pop(name, None)

    def _get(self, name: str, now: float) -> int:
        count, until = self._counts.get(name, (0, 0.0))
        return count if now < until else 0

    def _up(self, name: str, kept_s: float, now: float) -> int:
        self._tidy(now)
        count = self._get(name, now) + 1
        until = self._counts[name][1] if count > 1 else now + kept_s
        self._counts[name] = count, until
        return count

    def _tidy(self, now: float) -> None:
        if now >= self._tidy_at:
            self._tidy_at = now + MINUTE_S
            self._counts = {name: count for name, count in self._counts.items() if now < count[1]}


class RedisCounters:
    """In Redis, by its clock.

    Every method may raise one of `failures`; if it is one of `refusals`, Redis is there.
    """

    def __init__(self, url: str) -> None:
        """Raises ValueError for an URL of another form."""
        import redis  # takes long, and most services have none

        self.refusals = (redis.ResponseError, ValueError, TypeError)
        self.failures = (redis.RedisError, *self.refusals)
        self._storage = RedisStorage(
            url,
            key_prefix="image-registration",
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
        )
        self._client: Any = self._storage.get_connection()
        self._window = SlidingWindowCounterRateLimiter(self._storage)

    def hit(self, name: str, most: int) -> float:
        item = RateLimitItemPerMinute(most)
        if self._window.hit(item, name):
            return 0.0
        again_s = self._window.get_window_stats(item, name).reset_time - time.time()
        return max(again_s, 0.001) if math.isfinite(again_s) else 1.0

    def count(self, name: str, kept_s: int) -> int:
        return self._storage.incr(name, kept_s)

    def left_s(self, name: str) -> float:
        return float(self._client.pttl(self._storage.prefixed_key(name))) / 1000

    def forget(self, name: str) -> None:
        self._storage.clear(name)


class SharedCounters:
    """Asks Redis, and counts in this process if there is none, or it does not count."""

    def __init__(self, redis_url: str | None) -> None:
        """Raises ValueError for an URL of another form."""
        self._own = OwnCounters()
        self._redis = RedisCounters(redis_url) if redis_url else None
        self._away_until = self._quiet_until = 0.0
        self.ask(lambda on: on.left_s("start"))  # says at once if Redis is away

    def ask(self, question: Callable[[Counters], T]) -> T:
        """What Redis answers, else what this process does."""
        if self._redis and time.monotonic() >= self._away_until:
            try:
                return question(self._redis)
            except self._redis.failures as error:
                self._complain(error, is_there=isinstance(error, self._redis.refusals))
        return question(self._own)

    def _complain(self, error: Exception, is_there: bool) -> None:
        now, cause = time.monotonic(), f"{type(error).__name__}: {error}"[:200]
        if not is_there:
            self._away_until = now + _AGAIN_S
            log.error("Redis (REDIS_URL) is away, each process counts on its own", cause=cause)
        elif now >= self._quiet_until:
            self._quiet_until = now + _AGAIN_S
            log.error("Redis (REDIS_URL) holds something else where a count belongs", cause=cause)
