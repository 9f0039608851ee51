"""How often an address or a key may ask."""

import time
import tracemalloc

import pytest

from app.access.rate_limits import RateLimits, TooManyRequests
from tests.support.limiting import (
    HERE,
    THERE,
    Clock,
    count_until_refused,
    wait_of,
)


def test_an_address_has_its_number_of_requests() -> None:
    limits = RateLimits(per_address=20, per_key=0, failures=0)
    assert count_until_refused(limits, HERE) == 20
    assert count_until_refused(limits, HERE) == 0
    assert count_until_refused(limits, THERE, "some-key") == 20


def test_a_key_has_its_number_of_requests_from_wherever() -> None:
    limits = RateLimits(per_address=0, per_key=20, failures=0)
    assert count_until_refused(limits, HERE, "one") == 20
    assert count_until_refused(limits, THERE, "one") == 0
    assert count_until_refused(limits, HERE, "other") == 20
    assert count_until_refused(limits, HERE) == -1


def test_no_limit_is_none() -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=0)
    assert count_until_refused(limits, HERE, "one") == -1
    for _ in range(100):
        limits.login_failed(HERE)
    limits.check_login(HERE)


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    limits = RateLimits(per_address=20, per_key=0, failures=0)
    assert count_until_refused(limits, "2001:db8::1") == 20
    assert count_until_refused(limits, "2001:db8::2:3:4:5") == 0
    assert count_until_refused(limits, "2001:db8:0:1::1") == 20
    # IPv4 addresses as a socket for both kinds names them
    assert count_until_refused(limits, "::ffff:10.0.0.1") == 20
    assert count_until_refused(limits, "::ffff:10.0.0.2") == 20


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_clock_that_jumps_locks_nobody_out(
    monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    limits = RateLimits(per_address=20, per_key=0, failures=1)
    limits.login_failed(HERE)
    count_until_refused(limits, HERE)
    jumped = time.time() + jump_s
    monkeypatch.setattr(time, "time", lambda: jumped)
    assert 1 <= wait_of(limits, HERE) <= 5
    with pytest.raises(TooManyRequests) as refused:
        limits.check(HERE, None)
    assert 1 <= refused.value.retry_after_s <= 60


def test_after_the_time_that_is_named_there_is_room(clock: Clock) -> None:
    limits = RateLimits(per_address=20, per_key=0, failures=0)
    for _ in range(50):
        try:
            limits.check(HERE, None)
        except TooManyRequests as error:
            assert 1 <= error.retry_after_s <= 60
            clock.now += error.retry_after_s
            limits.check(HERE, None)
        clock.now += 0.7


def test_what_is_forgotten_takes_no_memory(clock: Clock) -> None:
    limits = RateLimits(per_address=20, per_key=0, failures=0)
    held = []
    tracemalloc.start()
    try:
        for minute in range(10):
            for number in range(1_000):
                limits.check(f"10.{minute}.{number // 250}.{number % 250}", None)
            held.append(tracemalloc.get_traced_memory()[0])
            clock.now += 121
    finally:
        tracemalloc.stop()
    assert max(held) < 3 * held[0]
