"""More requests than the service can take: a quick 503, and the rest is answered as ever."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tools.liveness_service import LivenessService

pytestmark = pytest.mark.timed

THREADS, PLACES = 8, 7
FIND = "/api/find_match"
PHOTO = {"img_base64": photos.astronaut()}
QUICK_S = 5.0  # on cores that others use, too; who waits for a login to end waits for 60 s
BUSY = (503, "too many requests at once, try again")


def enrol(service: RunningService) -> None:
    body = {"name": "Grace", "surname": "Hopper"} | PHOTO
    assert service.call("POST", "/api/store/1", json=body).status_code == 200


def test_every_login_under_overload_is_accepted_or_refused(tmp_path: Path) -> None:
    with RunningService(tmp_path, THREADS=str(THREADS), MAX_IN_FLIGHT="1") as service:
        enrol(service)
        with ThreadPoolExecutor(60) as crowd:
            answers = list(crowd.map(lambda _: service.call("POST", FIND, json=PHOTO), range(240)))
        assert service.call("POST", FIND, json=PHOTO).status_code == 200
    refused = [answer for answer in answers if answer.status_code == 503]
    let_in = [answer for answer in answers if answer.status_code == 200]
    assert refused
    assert let_in
    assert len(refused) + len(let_in) == len(answers)
    for answer in refused:
        assert_busy(answer)
    assert all(answer.json()["_id"] == 1 for answer in let_in)


def test_logins_that_wait_do_not_hold_up_the_rest(tmp_path: Path) -> None:
    patience = {"LIVENESS_TIMEOUT_S": "60", "LIVENESS_READ_TIMEOUT_S": "60"}
    with (
        LivenessService() as liveness,
        RunningService(
            tmp_path,
            THREADS=str(THREADS),
            MAX_IN_FLIGHT=str(THREADS),
            LIVENESS_SERVICE_URL=liveness.url,
            **patience,
        ) as service,
        ThreadPoolExecutor(PLACES) as threads,
    ):
        enrol(service)
        liveness.hang()
        body = PHOTO | {"liveness": True, "frames": [photos.astronaut_again()] * 15}
        waiting = [threads.submit(service.call, "POST", FIND, json=body) for _ in range(PLACES)]
        while len(liveness.asked) < PLACES:
            assert not any(login.done() for login in waiting)
            time.sleep(0.01)
        for path in ("/readyz", "/healthz", "/api/get_all/10/1"):
            assert quick(service, "GET", path).status_code == 200
        assert_busy(quick(service, "POST", FIND, json=PHOTO))
        assert_busy(quick(service, "PUT", "/api/store/1", json=PHOTO))
        assert not any(login.done() for login in waiting)
        liveness.go_on()
        assert [login.result().status_code for login in waiting] == [200] * PLACES
        assert quick(service, "POST", FIND, json=PHOTO).status_code == 200


def test_an_enrolment_of_many_photos_keeps_nobody_out(tmp_path: Path) -> None:
    with (
        RunningService(tmp_path, MAX_IN_FLIGHT="1") as service,
        ThreadPoolExecutor(1) as threads,
    ):
        enrol(service)
        body = {"name": "Ada", "surname": "Lovelace", "img_base64": [photos.admiral()] * 100}
        enrolment = threads.submit(service.call, "POST", "/api/store/2", json=body)
        logins = 0
        while not enrolment.done():
            assert quick(service, "POST", FIND, json=PHOTO).status_code == 200
            logins += 1
        assert enrolment.result().status_code == 200
        assert logins > 3


def quick(service: RunningService, method: str, path: str, **options: object) -> requests.Response:
    began = time.perf_counter()
    answer = service.call(method, path, **options)
    assert time.perf_counter() - began < QUICK_S
    return answer


def assert_busy(answer: requests.Response) -> None:
    assert (answer.status_code, answer.text) == BUSY
    assert int(answer.headers["Retry-After"]) > 0
