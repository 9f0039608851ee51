"""How long failed logins make an address wait: never an enrolled person for long."""

from app.access.rate_limits import RateLimits
from tests.support.limiting import HERE, Clock, wait_of


def test_the_wait_is_short_and_ends(clock: Clock) -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=3)
    for _ in range(3):
        assert wait_of(limits, HERE) == 0
        limits.login_failed(HERE)
    waits = []
    for _ in range(5):
        waits.append(wait_of(limits, HERE))
        clock.now += 1
    assert waits == [5, 4, 3, 2, 1]  # asking meanwhile prolongs nothing
    assert wait_of(limits, HERE) == 0


def test_however_many_failed_the_wait_is_as_short(clock: Clock) -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=3)
    for _ in range(200):
        for _ in range(50):  # in flight when the wait begins
            limits.login_failed(HERE)
        assert wait_of(limits, HERE) == 5
        clock.now += 5
        assert wait_of(limits, HERE) == 0


def test_somebody_enrolled_gets_a_turn_while_a_stranger_goes_on(clock: Clock) -> None:
    """The stranger tries eight times a second, the other one twice, always just after them."""
    limits = RateLimits(per_address=0, per_key=0, failures=10)
    waited, longest = 0.0, 0.0
    for step in range(8 * 120):
        if not wait_of(limits, HERE):
            limits.login_failed(HERE)
        if step % 4 == 0:
            waited = waited + 0.5 if wait_of(limits, HERE) else 0.0
            longest = max(longest, waited)
        clock.now += 0.125
    assert 0 < longest <= 10


def test_a_login_starts_the_count_anew(clock: Clock) -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=3)
    for _ in range(4):
        limits.login_failed(HERE)
        limits.login_failed(HERE)
        assert wait_of(limits, HERE) == 0
        limits.login_succeeded(HERE)


def test_a_login_ends_the_wait(clock: Clock) -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=1)
    limits.login_failed(HERE)
    assert wait_of(limits, HERE) == 5
    limits.login_succeeded(HERE)  # it was in flight
    assert wait_of(limits, HERE) == 0


def test_an_unknown_address_is_not_counted() -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=1)
    for _ in range(100):
        limits.login_failed(None)
    limits.check_login(None)
