"""What the tests of limits share."""

import time

from werkzeug.test import TestResponse

from app.access.rate_limits import RateLimits, TooManyFailures, TooManyRequests
from tests.support import sent_photos as photos

HERE, THERE = "10.0.0.1", "10.0.0.2"
PROBE = {"img_base64": photos.admiral()}


def came_from(*addresses: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(addresses)}


def count_until_refused(limits: RateLimits, address: str, key_id: str | None = None) -> int:
    for number in range(1000):
        try:
            limits.check(address, key_id)
        except TooManyRequests as error:
            assert 1 <= error.retry_after_s <= 120
            return number
    return -1


def wait_of(limits: RateLimits, address: str) -> int:
    """The seconds the address has to wait, 0 when it need not."""
    try:
        limits.check_login(address)
    except TooManyFailures as error:
        return error.retry_after_s
    return 0


class Clock:
    """The clocks of the counters. Only the one that never jumps goes on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


def refused(response: TestResponse, code: str) -> bool:
    if response.status_code != 429:
        return False
    assert response.get_json()["code"] == code
    assert int(response.headers["Retry-After"]) >= 1
    return True
