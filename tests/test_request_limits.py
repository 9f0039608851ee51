"""How often an address or a key may ask, and how long failed logins make it wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import Role
from app.access.keys import new_key
from app.access.limits import Limits, TooManyFailures, TooManyRequests, wait_after
from tests import sent_photos as photos
from tests.features import random_vector
from tests.redis_server import Redis
from tests.serving import RunningService, free_port, ready_app

HERE, THERE = "10.0.0.1", "10.0.0.2"
PROBE = {"img_base64": photos.admiral()}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path, free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def limited_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Few failures are free. Tests call from addresses of their own."""
    app = ready_app(
        tmp_path_factory.mktemp("limited"),
        address_requests_per_minute=40,
        login_failures=3,
        trusted_proxies=1,
        max_vectors_per_employee=2,
    )
    yield app
    app.extensions["service"].stop()


@pytest.fixture
def limited(limited_app: Flask) -> FlaskClient:
    return limited_app.test_client()


def came_from(*addresses: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(addresses)}


def count_until_refused(limits: Limits, address: str, key_id: str | None = None) -> int:
    for number in range(1000):
        try:
            limits.check(address, key_id)
        except TooManyRequests as error:
            assert 1 <= error.retry_after_s <= 120
            return number
    return -1


def test_an_address_has_its_number_of_requests() -> None:
    limits = Limits(per_address=20, per_key=0, failures=0)
    assert count_until_refused(limits, HERE) == 20
    assert count_until_refused(limits, HERE) == 0
    assert count_until_refused(limits, THERE, "some-key") == 20


def test_a_key_has_its_number_of_requests_from_wherever() -> None:
    limits = Limits(per_address=0, per_key=20, failures=0)
    assert count_until_refused(limits, HERE, "one") == 20
    assert count_until_refused(limits, THERE, "one") == 0
    assert count_until_refused(limits, HERE, "other") == 20
    assert count_until_refused(limits, HERE) == -1


def test_no_limit_is_none() -> None:
    limits = Limits(per_address=0, per_key=0, failures=0)
    assert count_until_refused(limits, HERE, "one") == -1
    for _ in range(100):
        limits.login_failed(HERE)
    limits.check_login(HERE)


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    limits = Limits(per_address=20, per_key=0, failures=0)
    assert count_until_refused(limits, "2001:db8::1") == 20
    assert count_until_refused(limits, "2001:db8::2:3:4:5") == 0
    assert count_until_refused(limits, "2001:db8:0:1::1") == 20
    # IPv4 addresses as a socket for both kinds names them
    assert count_until_refused(limits, "::ffff:10.0.0.1") == 20
    assert count_until_refused(limits, "::ffff:10.0.0.2") == 20


def wait_of(limits: Limits, address: str) -> int:
    """The seconds the address has to wait, 0 when it need not."""
    try:
        limits.check_login(address)
    except TooManyFailures as error:
        return error.retry_after_s
    return 0


def test_the_wait_doubles_with_each_failure_up_to_five_minutes() -> None:
    waits = [wait_after(failures, free=3) for failures in range(14)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3:12] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert waits[12:] == [300, 300]
    assert wait_after(10**9, free=3) == 300


def test_after_the_wait_one_more_attempt_is_made_and_costs_more() -> None:
    limits = Limits(per_address=0, per_key=0, failures=1)
    limits.login_failed(HERE)
    assert wait_of(limits, HERE) == 1
    time.sleep(1.1)
    assert wait_of(limits, HERE) == 0
    limits.login_failed(HERE)
    assert wait_of(limits, HERE) == 2


def test_a_login_starts_the_count_anew() -> None:
    limits = Limits(per_address=0, per_key=0, failures=3)
    for _ in range(4):
        limits.login_failed(HERE)
        limits.login_failed(HERE)
        assert wait_of(limits, HERE) == 0
        limits.login_succeeded(HERE)


def refused(response: TestResponse, code: str) -> bool:
    if response.status_code != 429:
        return False
    assert response.get_json()["code"] == code
    assert int(response.headers["Retry-After"]) >= 1
    return True


def test_too_many_requests_are_answered_429_and_health_is_never(limited: FlaskClient) -> None:
    headers = came_from("10.0.1.1") | {"Accept": "application/json"}
    answers = [limited.get("/api/get_all/1/1", headers=headers) for _ in range(50)]
    assert sum(refused(answer, "too_many_requests") for answer in answers) in (9, 10)
    assert limited.get("/healthz", headers=headers).status_code == 200
    assert limited.get("/readyz", headers=headers).status_code == 200
    assert limited.get("/api/get_all/1/1", headers=came_from("10.0.1.2")).status_code == 200


def test_failed_logins_make_an_address_wait(limited: FlaskClient) -> None:
    headers = came_from("10.0.2.1") | {"Accept": "application/json"}
    for _ in range(3):
        assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406
    response = limited.post("/api/find_match", json=PROBE, headers=headers)
    assert refused(response, "too_many_failures")
    plain = limited.post("/api/find_match", json=PROBE, headers=came_from("10.0.2.1"))
    assert plain.text == "too many failed logins, wait a little"
    other = limited.post("/api/find_match", json=PROBE, headers=came_from("10.0.2.2"))
    assert other.status_code == 406


def test_what_is_no_attempt_does_not_count(limited: FlaskClient) -> None:
    headers = came_from("10.0.3.1")
    for _ in range(5):
        cat = limited.post("/api/find_match", json={"img_base64": photos.cat()}, headers=headers)
        assert cat.status_code == 422
    assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406


@pytest.mark.parametrize("field", ["img_features", "img_base64"])
def test_an_employee_has_only_so_many_vectors(limited: FlaskClient, field: str) -> None:
    one = {"img_features": random_vector(1), "img_base64": "not even looked at"}[field]
    body = {"name": "Grace", "surname": "Hopper", field: [one] * 3}
    response = limited.post("/api/store/1", json=body, headers=came_from("10.0.5.1"))
    assert (response.status_code, response.text) == (400, f"{field}: has more than 2 entries")


def test_nobody_names_their_own_address(limited: FlaskClient) -> None:
    """Only what the trusted proxy appended counts, not what the caller put before it."""
    for number in range(3):
        headers = came_from(f"1.2.3.{number}", "10.0.4.1")
        assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 406
    headers = came_from("1.2.3.99", "10.0.4.1")
    assert limited.post("/api/find_match", json=PROBE, headers=headers).status_code == 429


def test_without_trusted_proxies_the_header_is_not_believed(tmp_path: Path) -> None:
    app = ready_app(tmp_path, address_requests_per_minute=2)
    client = app.test_client()
    answers = [
        client.get("/api/get_all/1/1", headers=came_from(f"10.0.0.{number}")).status_code
        for number in range(3)
    ]
    app.extensions["service"].stop()
    assert answers == [200, 200, 429]


def test_services_share_their_counts_in_redis(redis: Redis, tmp_path: Path) -> None:
    key, line = new_key([Role.ADMIN])
    settings = {
        "API_KEYS": line,
        "REDIS_URL": redis.url,
        "KEY_REQUESTS_PER_MINUTE": "30",
        "LOGIN_FAILURES": "4",
    }
    headers = {"X-API-Key": key}
    with (
        RunningService(tmp_path, WORKERS="2", **settings) as one,
        RunningService(tmp_path, **settings) as other,
    ):
        for service in (one, other, one, other):
            answer = service.call("POST", "/api/find_match", json=PROBE, headers=headers)
            assert answer.status_code == 406
        for service in (one, other):
            answer = service.call("POST", "/api/find_match", json=PROBE, headers=headers)
            assert answer.status_code == 429
        statuses = [
            service.call("GET", "/api/get_all/1/1", headers=headers).status_code
            for service in (one, other) * 20
        ]
    # one more where a minute of the clock begins meanwhile
    assert statuses.count(200) in (30 - 6, 30 - 6 + 1)


def test_while_redis_is_away_each_process_counts_on_its_own(redis: Redis) -> None:
    one = Limits(per_address=20, per_key=0, failures=0, redis_url=redis.url)
    other = Limits(per_address=20, per_key=0, failures=0, redis_url=redis.url)
    for _ in range(15):
        one.check(HERE, None)
    assert count_until_refused(other, HERE) == 5
    redis.stop()
    started = time.perf_counter()
    assert count_until_refused(one, HERE) == count_until_refused(other, HERE) == 20
    assert time.perf_counter() - started < 3  # it is not asked each time whether it is back
