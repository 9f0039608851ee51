"""How long failed logins make an address wait: never an enrolled person for long."""

import pytest
from flask.testing import FlaskClient

from app.access.rate_limits import RateLimits
from app.api import login
from testbed.redis_server import Redis
from tests.support import sent_photos as photos
from tests.support.limiting import HERE, PROBE, Clock, came_from, refused, wait_of


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


def test_a_liveness_session_counts_until_a_login_succeeds(limited: FlaskClient) -> None:
    """Nobody may open sessions until the challenge comes that a film shows."""
    headers = came_from("10.0.2.7")
    opened = [limited.post("/api/v2/liveness-sessions", headers=headers) for _ in range(5)]
    assert [response.status_code for response in opened] == [201] * 3 + [429] * 2


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


def test_an_enrolled_person_gets_in_soon_after_a_stranger(
    limited: FlaskClient, clock: Clock
) -> None:
    """The stranger tries twice a second, and so does the enrolled person afterwards."""
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


def test_callers_cannot_choose_their_address(limited: FlaskClient) -> None:
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
def test_spellings_of_an_address_count_as_one(limited: FlaskClient, spellings: list[str]) -> None:
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
