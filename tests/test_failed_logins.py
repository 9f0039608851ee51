"""How long failed logins make an address wait: never an enrolled person for long."""

import pytest
from flask.testing import FlaskClient

from app.access.rate_limits import RateLimits
from app.api import login
from tests import sent_photos as photos
from tests.limiting import HERE, PROBE, Clock, came_from, refused, wait_of
from tests.redis_server import Redis


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


def test_an_address_that_nobody_names_is_not_counted() -> None:
    limits = RateLimits(per_address=0, per_key=0, failures=1)
    for _ in range(100):
        limits.login_failed(None)
    limits.check_login(None)


def test_failed_logins_make_an_address_wait(limited: FlaskClient) -> None:
    headers = came_from("10.0.2.1") | {"Accept": "application/json"}
    for _ in range(3):
        assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406
    response = limited.post("/api/find_match", json=PROBE, headers=headers)
    assert refused(response, "too_many_failures")
    plain = limited.post("/api/find_match", json=PROBE, headers=came_from("10.0.2.1"))
    assert plain.text == "too many failed logins, try again in 5 seconds"
    assert plain.headers["Retry-After"] == "5"
    other = limited.post("/api/find_match", json=PROBE, headers=came_from("10.0.2.2"))
    assert other.status_code == 406


def test_pictures_that_cost_little_do_not_count(limited: FlaskClient) -> None:
    """A camera at a door sees nobody for hours."""
    headers = came_from("10.0.3.1")
    for _ in range(5):
        cat = limited.post("/api/find_match", json={"img_base64": photos.cat()}, headers=headers)
        assert cat.status_code == 422
    assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406


@pytest.mark.parametrize("is_named", [True, False])
def test_pictures_that_cost_much_count(
    limited: FlaskClient, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    monkeypatch.setattr(login, "COSTLY_S", 0.002)
    headers = came_from("10.0.3.2") if is_named else {}
    statuses = [
        limited.post("/api/find_match", json={"img_base64": photos.cat()}, headers=headers)
        for _ in range(5)
    ]
    expected = [422] * 3 + [429] * 2 if is_named else [422] * 5
    assert [response.status_code for response in statuses] == expected


def test_somebody_enrolled_who_steps_up_is_soon_in(limited: FlaskClient, clock: Clock) -> None:
    """After a stranger who tries twice a second, and whoever it is does, too."""
    headers = came_from("10.0.2.9")
    grace = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
    stranger = {"img_base64": photos.astronaut()}
    assert limited.post("/api/store/9", json=grace, headers=headers).status_code == 200
    try:
        for leaves_after in (4, 9, 10, 30):
            statuses = set()
            for _ in range(leaves_after):
                tried = limited.post("/api/find_match", json=stranger, headers=headers)
                statuses.add(tried.status_code)
                clock.now += 0.5
            assert statuses == {406, 429}
            began = clock.now
            while (
                stepped_up := limited.post("/api/find_match", json=PROBE, headers=headers)
            ).status_code == 429:
                assert int(stepped_up.headers["Retry-After"]) <= 5
                clock.now += 0.5
            assert stepped_up.status_code == 200
            assert clock.now - began <= 5
            again = limited.post("/api/find_match", json=stranger, headers=headers)
            assert again.status_code == 406  # a login ends the wait
            limited.post("/api/find_match", json=PROBE, headers=headers)
            clock.now += 60
    finally:
        assert limited.delete("/api/9", headers=headers).status_code == 200


def test_people_behind_one_frontend_do_not_wait_for_strangers(limited: FlaskClient) -> None:
    """It calls from server to server, and no proxy says where they are."""
    for headers in ({}, came_from("unknown"), came_from("")):
        for _ in range(5):
            response = limited.post("/api/find_match", json=PROBE, headers=headers)
            assert response.status_code == 406


def test_nobody_names_their_own_address(limited: FlaskClient) -> None:
    """Only what the trusted proxy appended counts, not what the caller put before it."""
    for number in range(3):
        headers = came_from(f"1.2.3.{number}", "10.0.4.1")
        assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406
    headers = came_from("1.2.3.99", "10.0.4.1")
    assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 429


@pytest.mark.parametrize(
    "spellings",
    [
        ["192.0.2.1", " 192.0.2.1 ", "192.0.2.1:5678", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:9"],
        ["2001:db8::1", "[2001:db8::2]", "[2001:DB8::3]:5678", "2001:db8:0:0:9::1", "2001:db8::%1"],
        ["fe80::1%eth0", "fe80::2%eth1", "[fe80::3%25eth2]:80", "fe80::4"],
    ],
)
def test_an_address_is_one_however_it_is_written(
    limited: FlaskClient, spellings: list[str]
) -> None:
    for number in range(5):
        headers = came_from(spellings[number % len(spellings)])
        response = limited.post("/api/find_match", json=PROBE, headers=headers)
        assert response.status_code == (406 if number < 3 else 429)


def test_the_wait_in_redis_is_named_and_ends(redis: Redis) -> None:
    one, other = (
        RateLimits(per_address=0, per_key=0, failures=1, redis_url=redis.url) for _ in range(2)
    )
    one.login_failed(HERE)
    assert wait_of(other, HERE) == 5
    other.login_succeeded(HERE)
    assert wait_of(one, HERE) == 0
