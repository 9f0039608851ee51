"""Several services count as one."""

from pathlib import Path

from app.access import Role
from app.access.api_keys import new_key
from testbed.redis_server import Redis
from testbed.serving import RunningService
from tests.support.limiting import (
    PROBE,
    came_from,
)


def test_services_share_their_counts_in_redis(redis: Redis, tmp_path: Path) -> None:
    key, line = new_key([Role.ADMIN])
    settings = {
        "API_KEYS": line,
        "REDIS_URL": redis.url,
        "KEY_REQUESTS_PER_MINUTE": "30",
        "LOGIN_FAILURES": "4",
        "TRUSTED_PROXIES": "1",
    }
    headers = {"X-API-Key": key} | came_from("10.0.6.1")
    with (
        RunningService(tmp_path, WORKERS="2", **settings) as one,
        RunningService(tmp_path, **settings) as other,
    ):
        one.wait_workers(2)
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
