"""How often an address or a key may ask."""

import time
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis as RedisClient

from app.access.rate_limits import RateLimits
from testbed.redis_server import Redis
from testbed.serving import ready_app
from tests.support.features import random_vector
from tests.support.limiting import (
    HERE,
    PROBE,
    came_from,
    count_until_refused,
    refused,
)


def test_too_many_requests_are_answered_429_and_health_is_never(limited: FlaskClient) -> None:
    headers = came_from("10.0.1.1") | {"Accept": "application/json"}
    answers = [limited.get("/api/get_all/1/1", headers=headers) for _ in range(50)]
    assert sum(refused(answer, "too_many_requests") for answer in answers) in (9, 10)
    assert limited.get("/healthz", headers=headers).status_code == 200
    assert limited.get("/readyz", headers=headers).status_code == 200
    assert limited.get("/api/get_all/1/1", headers=came_from("10.0.1.2")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nothing", 404),
        ("GET", "/api//get_all/1/1", 404),
        ("PATCH", "/api/find_match", 405),
        ("OPTIONS", "/api/get_all/1/1", 200),
        ("POST", "/api/find_match", 415),
    ],
)
def test_every_request_counts(limited: FlaskClient, method: str, path: str, status: int) -> None:
    headers = came_from(f"10.1.{status % 256}.{len(path)}")
    statuses = [limited.open(path, method=method, headers=headers).status_code for _ in range(50)]
    assert set(statuses) == {status, 429}
    assert 40 <= statuses.count(status) <= 41
    assert limited.get("/api/get_all/1/1", headers=headers).status_code == 429
    assert limited.options("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("field", ["img_features", "img_base64"])
def test_an_employee_has_only_so_many_vectors(limited: FlaskClient, field: str) -> None:
    one = {"img_features": random_vector(1), "img_base64": "not even looked at"}[field]
    body = {"name": "Grace", "surname": "Hopper", field: [one] * 3}
    response = limited.post("/api/store/1", json=body, headers=came_from("10.0.5.1"))
    assert (response.status_code, response.text) == (400, f"{field}: has more than 2 entries")


def test_without_trusted_proxies_the_header_is_not_believed(tmp_path: Path) -> None:
    app = ready_app(tmp_path, address_requests_per_minute=2)
    client = app.test_client()
    answers = [
        client.get("/api/get_all/1/1", headers=came_from(f"10.0.0.{number}")).status_code
        for number in range(3)
    ]
    app.extensions["service"].stop()
    assert answers == [200, 200, 429]


def test_what_is_no_count_in_redis_is_no_error(redis: Redis, tmp_path: Path) -> None:
    app = ready_app(
        tmp_path,
        redis_url=redis.url,
        address_requests_per_minute=60,
        login_failures=3,
        trusted_proxies=1,
    )
    client = app.test_client()
    headers = came_from("10.0.7.1")
    client.post("/api/find_match", json=PROBE, headers=headers)
    with closing(RedisClient.from_url(redis.url)) as others:
        written = [*others.keys("*"), *(f"image-registration:wait/10.0.7.{n}" for n in (1, 2))]
        assert len(written) == 4
        for broken in (b"many", b"", b"1e3", b"9" * 40, b"-1", b"\xff"):
            for name in written:
                others.set(name, broken)
            assert client.post("/api/find_match", json=PROBE, headers=headers).status_code in {
                406,
                429,
            }
        for name in written:
            others.delete(name)
            others.lpush(name, "a list")
        for _ in range(3):
            assert client.post("/api/find_match", json=PROBE, headers=headers).status_code in {
                406,
                429,
            }
        assert others.type(written[0]) == b"list"
        # a wait without an end is not believed, either
        others.set("image-registration:wait/10.0.7.2", 1)
    answer = client.post("/api/find_match", json=PROBE, headers=came_from("10.0.7.2"))
    app.extensions["service"].stop()
    assert answer.status_code == 406


def test_while_redis_is_away_each_process_counts_on_its_own(redis: Redis) -> None:
    one = RateLimits(per_address=20, per_key=0, failures=0, redis_url=redis.url)
    other = RateLimits(per_address=20, per_key=0, failures=0, redis_url=redis.url)
    for _ in range(15):
        one.check(HERE, None)
    assert count_until_refused(other, HERE) == 5
    redis.stop()
    started = time.perf_counter()
    assert count_until_refused(one, HERE) == count_until_refused(other, HERE) == 20
    assert time.perf_counter() - started < 3  # it is not asked each time whether it is back
