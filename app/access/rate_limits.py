"""Limit requests per address and per API key, and slow down logins after failures."""

import math

from app.access.addresses import network
from app.access.counters import SharedCounters

# From one address, about one login a second gets through once it has used up its free failures.
WAIT_S = 5
FAILURES_PER_WAIT = 5
FAILURES_EXPIRE_S = 3600  # after the first one, so that occasional mistakes do not add up


class TooManyRequests(Exception):
    """A limit is reached.

    what: names what there was too much of. wait_s: until a retry may succeed; retry_after_s is the
    same, rounded up to whole seconds.
    """

    def __init__(self, what: str, wait_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(wait_s))
        seconds = "second" if self.retry_after_s == 1 else "seconds"
        super().__init__(f"too many {what}, try again in {self.retry_after_s} {seconds}")


class TooManyFailures(TooManyRequests):
    """Too many logins from the address failed, so the next one has to wait."""


class RateLimits:
    """Counts requests and failed logins. Thread-safe.

    All processes share the counts through Redis. Without Redis, or while it is unavailable, each
    process counts on its own.

    per_address, per_key: requests per minute; 0 for no limit.
    failures: failed logins in a row before an address has to wait; 0 for no limit.

    From then on, every five more failures cost a wait of five seconds. So an enrolled person behind
    the same address soon gets in after a stranger gives up, and even while the stranger keeps
    trying, unless the stranger tries much more often.
    """

    def __init__(
        self, per_address: int, per_key: int, failures: int, redis_url: str | None = None
    ) -> None:
        """Raises ValueError if the URL is malformed."""
        self._per_minute = {"address": per_address, "key": per_key}
        self._free_failures = failures
        self._counters = SharedCounters(redis_url)

    def check(self, address: str, key_id: str | None) -> None:
        """Count a request. Raises TooManyRequests."""
        self._hit("address", network(address))
        if key_id is not None:
            self._hit("key", key_id)

    # The address of a login is None if many people may share it; then nothing is counted.

    def check_login(self, address: str | None) -> None:
        """Raise TooManyFailures while the address has to wait. The attempt does not count."""
        if not self._free_failures or address is None:
            return
        _, wait = _names(address)
        wait_s = self._counters.call(lambda counters: counters.remaining_s(wait))
        if 0 < wait_s <= WAIT_S:  # a longer time is not ours: something else set that key in Redis
            raise TooManyFailures("failed logins", wait_s)

    def login_failed(self, address: str | None) -> None:
        """Count a failure, and make the address wait if it has used up its attempts."""
        if not self._free_failures or address is None:
            return
        failures, wait = _names(address)
        count = self._counters.call(
            lambda counters: counters.increment(failures, FAILURES_EXPIRE_S)
        )
        excess = count - self._free_failures
        if excess >= 0 and excess % FAILURES_PER_WAIT == 0:
            self._counters.call(lambda counters: counters.increment(wait, WAIT_S))

    def login_succeeded(self, address: str | None) -> None:
        """Forget the failures of the address, and end its wait."""
        if not self._free_failures or address is None:
            return
        failures, wait = _names(address)
        self._counters.call(lambda counters: counters.reset(failures))
        self._counters.call(lambda counters: counters.reset(wait))

    def _hit(self, kind: str, caller: str) -> None:
        if not (limit := self._per_minute[kind]):
            return
        if wait_s := self._counters.call(lambda counters: counters.hit(f"{kind}/{caller}", limit)):
            raise TooManyRequests("requests", wait_s)


def _names(address: str) -> tuple[str, str]:
    """Return the names of the counters for failures and for the wait of an address."""
    caller = network(address)
    return f"failures/{caller}", f"wait/{caller}"
