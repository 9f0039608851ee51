"""Limit how often an address or a key may ask, and how soon after failed logins."""

import math

from app.access.addresses import network
from app.access.counters import SharedCounters

WAIT_S = 5
TRIES = 5
FAILURES_FORGOTTEN_S = 3600


class TooManyRequests(Exception):
    """The limit is reached. what: there was too much of. wait_s: until asking again may help.

    retry_after_s: the same in whole seconds.
    """

    def __init__(self, what: str, wait_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(wait_s))
        seconds = "second" if self.retry_after_s == 1 else "seconds"
        super().__init__(f"too many {what}, try again in {self.retry_after_s} {seconds}")


class TooManyFailures(TooManyRequests):
    """Too many logins failed from that address: the next one has to wait."""


class RateLimits:
    """Counts requests and failed logins. Thread-safe.

    Counts are shared through Redis, or kept by each process. While Redis is away each process
    counts on its own.

    per_address, per_key: requests a minute; 0 for no limit.
    failures: failed logins in a row that an address has free; 0 for no limit.

    Each five failures more cost a wait of five seconds. So an enrolled person gets in soon after a
    stranger gives up, and even while the stranger goes on, unless they try much more often.
    """

    def __init__(
        self, per_address: int, per_key: int, failures: int, redis_url: str | None = None
    ) -> None:
        """Raises ValueError for an URL that is not Redis's."""
        self._per_minute = {"address": per_address, "key": per_key}
        self._failures = failures
        self._counters = SharedCounters(redis_url)

    def check(self, address: str, key_id: str | None) -> None:
        """Count a request. Raises TooManyRequests."""
        self._hit("address", network(address))
        if key_id is not None:
            self._hit("key", key_id)

    # address: None if it may be that of many people; then nothing is counted.

    def check_login(self, address: str | None) -> None:
        """Raise TooManyFailures while the address has to wait. A try meanwhile costs nothing."""
        if not self._failures or address is None:
            return
        name = f"wait/{network(address)}"
        left_s = self._counters.ask(lambda on: on.left_s(name))
        if 0 < left_s <= WAIT_S:  # nothing else was written here
            raise TooManyFailures("failed logins", left_s)

    def login_failed(self, address: str | None) -> None:
        """Count it, and make the address wait if it has no tries left."""
        if not self._failures or address is None:
            return
        failures, wait = _names(address)
        count = self._counters.ask(lambda on: on.count(failures, FAILURES_FORGOTTEN_S))
        if count >= self._failures and (count - self._failures) % TRIES == 0:
            self._counters.ask(lambda on: on.count(wait, WAIT_S))

    def login_succeeded(self, address: str | None) -> None:
        """The address starts anew."""
        if not self._failures or address is None:
            return
        failures, wait = _names(address)
        self._counters.ask(lambda on: on.forget(failures))
        self._counters.ask(lambda on: on.forget(wait))

    def _hit(self, kind: str, who: str) -> None:
        if not (most := self._per_minute[kind]):
            return
        if wait_s := self._counters.ask(lambda on: on.hit(f"{kind}/{who}", most)):
            raise TooManyRequests("requests", wait_s)


def _names(address: str) -> tuple[str, str]:
    """Under which the failures and the wait of an address are counted."""
    who = network(address)
    return f"failures/{who}", f"wait/{who}"
