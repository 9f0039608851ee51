"""Metrics over two workers equal what was done, whichever worker answers, and outlive a worker."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from testbed.prometheus import Samples, counts, parse, value
from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.waiting import eventually
from tools.liveness_service import LivenessService

MOST_AGE_S = 6.5  # of the gallery; each worker catches up every five seconds
FIND = "/api/find_match"
FRAMES = [photos.astronaut_again()] * 15


def read(service: RunningService) -> Samples:
    response = service.call("GET", "/metrics")
    assert response.status_code == 200
    return parse(response.text)


counted = partial(counts, without=("metrics", "readyz", "not_ready"))


def test_metrics_equal_what_was_done(tmp_path: Path, liveness: LivenessService) -> None:
    settings = {"WORKERS": "2", "LOG_LEVEL": "info", "LIVENESS_SERVICE_URL": liveness.url}
    with RunningService(tmp_path, **settings) as service:
        service.wait_workers(2)
        script(service, liveness)
        requests = {
            "enrol/200": 1,
            "enrol/409": 1,
            "find_match/200": 21,
            "find_match/400": 1,
            "find_match/406": 6,
            "find_match/422": 3,
            "find_match/503": 1,
            "get_all/200": 1,
            "other/404": 2,
        }
        errors = {
            "bad_request": 1,
            "employee_exists": 1,
            "liveness_unavailable": 1,
            "no_face": 3,
            "no_match": 4,
            "not_alive": 2,
            "not_found": 2,
        }
        logins = {
            "identification/liveness_unavailable": 1,
            "identification/match": 21,
            "identification/no_face": 3,
            "identification/no_match": 4,
            "identification/not_alive": 2,
        }
        stages = {"liveness": 4, "recognition": 33, "search": 27, "index": 27, "store": 28}
        for scrape in (read(service) for _ in range(8)):
            assert counted(scrape, "requests_total") == requests
            assert counted(scrape, "errors_total") == errors
            assert counted(scrape, "logins_total") == logins
            assert counted(scrape, "stage_seconds_count") == stages
            assert counted(scrape, "login_distance_count") == {"": 25}
            assert counted(scrape, "worker_starts_total") == {"": 2}
            assert counted(scrape, "requests_in_flight") == {"": 1}
            assert counted(scrape, "request_slots") == {"": 56}
        os.kill(service.workers()[0], signal.SIGKILL)
        service.wait_workers(3)
        eventually(lambda: counted(read(service), "request_slots") == {"": 56}, 30)  # noted by then
        after = read(service)
        assert counted(after, "logins_total") == logins
        assert counted(after, "worker_starts_total") == {"": 3}
        assert counted(after, "requests_in_flight") == {"": 1}
        assert age(service) < MOST_AGE_S
        hanging = service.workers()[0]
        os.kill(hanging, signal.SIGSTOP)
        eventually(lambda: age(service) > MOST_AGE_S, 30)
        os.kill(hanging, signal.SIGCONT)
        eventually(lambda: age(service) < MOST_AGE_S, 30)


def age(service: RunningService) -> float:
    """Seconds since the worker that is furthest behind caught up with the database."""
    return value(read(service), "image_registration_gallery_age_seconds")


def script(service: RunningService, liveness: LivenessService) -> None:
    """Do what the test expects to be counted."""

    def log_in(photo: str, **more: object) -> int:
        return service.call("POST", FIND, json={"img_base64": photo} | more).status_code

    ada = {"name": "Ada", "surname": "Lovelace", "img_base64": photos.astronaut()}
    assert service.call("POST", "/api/store/1", json=ada).status_code == 200
    assert service.call("POST", "/api/store/1", json=ada).status_code == 409
    with ThreadPoolExecutor(4) as crowd:
        assert set(crowd.map(log_in, [photos.astronaut_again()] * 20)) == {200}
        assert set(crowd.map(log_in, [photos.admiral()] * 4)) == {406}
        assert set(crowd.map(log_in, [photos.coffee()] * 3)) == {422}
    assert log_in("") == 400
    checked = {"liveness": True, "frames": FRAMES}
    liveness.told(rule="alive")
    assert log_in(photos.astronaut(), **checked) == 200
    liveness.told(rule="dead")
    assert [log_in(photos.astronaut(), **checked) for _ in range(2)] == [406, 406]
    liveness.told(fault="HTML")
    assert log_in(photos.astronaut(), **checked) == 503
    assert service.call("GET", "/api/get_all/10/1").status_code == 200
    assert [service.call("GET", f"/{n}").status_code for n in range(2)] == [404, 404]
