"""An hour of two workers, in a minute: metrics, alerts and log say what the script did.

The clock of Prometheus is made up; requests, faults and readings are real. The alerts on a gallery
that falls behind and on an index that is away need longer faults, and are in tests/unit.
"""

import base64
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from app.access import Role
from app.access.api_keys import new_key
from app.storage import Employee
from testbed.alerts import RULES
from testbed.employees import fill
from testbed.photos import ASTRONAUT, encoded
from testbed.prometheus import Samples
from testbed.serving import ROOT, RunningService
from tests.support import sent_photos as photos
from tests.support.features import alike
from tests.support.scripted_hour import SEARCHED, Answer, Hour, check_log, counted
from tools.liveness_service import LivenessService


def sent(picture: Image.Image) -> str:
    return base64.b64encode(encoded(picture, "JPEG")).decode()


ADMIN, ADMIN_LINE = new_key([Role.ADMIN])
LOGIN_KEY, LOGIN_LINE = new_key([Role.LOGIN])
FIND = "/api/find_match"
EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
PROBE = {"img_base64": photos.astronaut_face()}
# Frames without a face are no fault if fraud is not checked, and cost little.
ALIVE = PROBE | {"liveness": True, "frames": [sent(Image.new("L", (32, 32)))] * 15}
BLURRED = sent(Image.open(ASTRONAUT).filter(ImageFilter.GaussianBlur(3)))
STRANGER = {"img_base64": photos.admiral()}
BODIES, BODY = 3, 60_000
MANY = 25

find = partial(Answer, "find_match")
MATCH = find(200, None, "match", SEARCHED, True)
ALIVE_MATCH = find(200, None, "match", (*SEARCHED, "liveness"), True)
NO_MATCH = find(406, "no_match", "no_match", SEARCHED, True)
LISTED = Answer("get_all", stages=("store",))


def log_in(hour: Hour, expected: Answer, body: object = PROBE, times: int = 1) -> None:
    for _ in range(times):
        hour.call(expected, "POST", FIND, body)


def calm(hour: Hour, minutes: int = 1, logins: int = 1) -> Samples:
    for _ in range(minutes):
        log_in(hour, MATCH, times=logins)
        hour.call(LISTED, "GET", "/api/get_all/1/1")
        samples = hour.minute()
    return samples


def gauge(hour: Hour, name: str, wanted: float) -> None:
    """Wait until a level is as wanted; workers look at theirs once a second."""
    deadline = time.monotonic() + 10
    while (found := counted(hour.scrape(), name).get("", 0)) != wanted:
        assert time.monotonic() < deadline, (name, found)
        time.sleep(0.1)


def usual_mistakes(hour: Hour, liveness: LivenessService) -> None:
    """All that happens on any day."""
    enrolled = ("recognition", "search", "index", "store")
    hour.call(Answer("enrol", stages=enrolled), "POST", "/api/store/1", EILEEN)
    taken = Answer("enrol", 409, "employee_exists", stages=enrolled)
    hour.call(taken, "POST", "/api/store/1", EILEEN)
    poor = Answer("enrol", 422, "face_too_blurred", stages=("recognition",))
    hour.call(poor, "POST", "/api/store/2", EILEEN | {"img_base64": BLURRED})
    nobody = find(422, "no_face", "no_face", ("recognition",))
    log_in(hour, nobody, {"img_base64": photos.coffee()}, 2)
    log_in(hour, find(400, "bad_request"), {"img_base64": ""})
    log_in(hour, NO_MATCH, STRANGER)
    log_in(hour, ALIVE_MATCH, ALIVE)
    liveness.told(rule="dead")
    seen = ("recognition", "liveness")
    log_in(hour, find(406, "not_alive", "not_alive", seen), ALIVE, 2)
    still = find(406, "fraud_suspected", "fraud_suspected", ("recognition",))
    log_in(hour, still, ALIVE | {"liveness": False, "fraud_detection": True})
    hour.call(Answer("other", 404, "not_found"), "GET", "/nothing")
    hour.call(Answer("version"), "GET", "/version")
    for key, status, code in (
        ("", 401, "key_missing"),
        ("Bearer x.y", 401, "key_unknown"),
        (f"Bearer {LOGIN_KEY}", 403, "key_insufficient"),
    ):
        refused = Answer("remove", status, code)
        hour.call(refused, "DELETE", "/api/1", headers={"Authorization": key})


@contextmanager
def replaced(path: Path, by: str | None = None) -> Iterator[None]:
    """Meanwhile a file is away, or a link to another one is in its place."""
    aside = path.rename(path.with_suffix(".aside"))
    if by:
        path.symlink_to(by)
    yield
    aside.rename(path)


def store_is_away(hour: Hour) -> None:
    hour.begins("PartUnavailable", "LoginsFail")
    failed = partial(Answer, status=503, code="store_unavailable")
    stages = ("recognition", "search", "store")
    login = failed("find_match", outcome="store_unavailable", stages=stages)
    for _ in range(2):
        log_in(hour, login, times=2)
        hour.call(failed("get_all", stages=("store",)), "GET", "/api/get_all/1/1")
        hour.minute()


def audit_log_is_full(hour: Hour) -> None:
    failed = partial(Answer, status=503, code="audit_unavailable")
    login = failed("find_match", outcome="audit_unavailable", stages=SEARCHED, distance=True)
    log_in(hour, login)
    hour.call(failed("get_all", stages=("store",)), "GET", "/api/get_all/1/1")


def liveness_is_away(hour: Hour, liveness: LivenessService) -> None:
    """One worker asks five times, and then no more."""
    failed = partial(find, 503, "liveness_unavailable", "liveness_unavailable")
    with liveness.away():
        log_in(hour.stick(), failed(("recognition", "liveness")), ALIVE, 5)
        log_in(hour, failed(("recognition",)), ALIVE)
        gauge(hour, "liveness_breakers_open", 1)
    liveness.told(rule="alive")
    time.sleep(2.1)
    log_in(hour, ALIVE_MATCH, ALIVE)
    gauge(hour, "liveness_breakers_open", 0)


def logins_are_slow(hour: Hour, liveness: LivenessService) -> None:
    hour.begins("LoginsAreSlow")
    liveness.told(rule="alive", delay_s=2.6)
    for _ in range(2):
        log_in(hour, ALIVE_MATCH, ALIVE)
        calm(hour, minutes=4)
    liveness.told(rule="alive")


def a_crowd_comes(hour: Hour) -> None:
    """More than there are slots. Some are refused; how many, only their answers say."""
    hour.begins("Overloaded")
    with ThreadPoolExecutor(24) as crowd:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        answers = crowd.map(
            lambda _: hour.service.call("POST", FIND, json=PROBE, headers=headers).status_code,
            range(60),
        )
        for status in answers:
            hour.count(MATCH if status == 200 else find(503, "overloaded"))
    assert hour.answers[find(503, "overloaded")] > 10


def somebody_keeps_trying(hour: Hour) -> None:
    """From one address, so that it has to wait; each worker counts on its own."""
    hour.begins("ManyTricks")
    there = {"X-Forwarded-For": "10.0.0.1"}
    hour.stick()
    for expected in (*[NO_MATCH] * 3, *[find(429, "too_many_failures", "throttled")] * MANY):
        hour.call(expected, "POST", FIND, STRANGER, there)


def workers_are_killed(hour: Hour) -> None:
    """One worker stays; the other is killed again and again, as soon as it has started."""
    hour.begins("WorkersDie")
    stays, victim = hour.service.workers()
    for started in range(3, 7):
        os.kill(victim, signal.SIGKILL)
        while victim in hour.service.workers():
            time.sleep(0.01)
        hour.stick()
        gauge(hour, "worker_starts_total", started)
        (victim,) = {*hour.service.workers()} - {stays}
    hour.service.wait_workers(3)


def bodies_are_held(hour: Hour) -> None:
    """Three clients have sent a part of their bodies."""
    head = f"POST {FIND} HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * BODY}\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(BODIES):
            address = ("127.0.0.1", hour.service.port)
            client = clients.enter_context(socket.create_connection(address))
            client.sendall(head.encode() + b"x" * BODY)
        gauge(hour, "body_bytes", BODIES * BODY)
    gauge(hour, "body_bytes", 0)


def strangers_are_let_in(hour: Hour) -> None:
    """As the gallery measures soon after its start."""
    deadline = time.monotonic() + 20
    while "image_registration_fpir" not in hour.stick().scrape():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hour.begins("StrangersGetIn")
    for _ in range(1 + RULES["StrangersGetIn"].patience):
        hour.minute()


def first_life(hour: Hour, liveness: LivenessService, folder: Path) -> None:
    """Fifty minutes. Each kind of fault is over before the same alert could have another reason."""
    hour.minute()
    usual_mistakes(hour, liveness)
    calm(hour, minutes=3)
    with replaced(folder / "employees.db"):
        store_is_away(hour)
    calm(hour, minutes=3)
    with replaced(folder / "audit.log", by="/dev/full"):
        audit_log_is_full(hour)
    calm(hour, minutes=2)
    liveness_is_away(hour, liveness)
    calm(hour, minutes=2)
    logins_are_slow(hour, liveness)
    (folder / "broken").touch()
    hour.begins("UnexpectedErrors")
    log_in(hour, find(500, "internal_error", "other", ("recognition",)))
    (folder / "broken").unlink()
    calm(hour)
    a_crowd_comes(hour)
    calm(hour, minutes=3)
    somebody_keeps_trying(hour)
    bodies_are_held(hour)
    calm(hour)
    workers_are_killed(hour)
    calm(hour)


def few_are_recognised(hour: Hour) -> None:
    """So many strangers come that they outnumber the matches of an hour."""
    matches = sum(times for answer, times in hour.answers.items() if answer.outcome == "match")
    hour.begins("FewAreRecognised")
    log_in(hour, NO_MATCH, STRANGER, times=matches + 1)
    for _ in range(1 + RULES["FewAreRecognised"].patience):
        hour.minute()


@pytest.mark.timed
def test_an_hour_is_counted_watched_and_logged_as_it_was(tmp_path: Path) -> None:
    settings = {
        "WORKERS": "2",
        "THREADS": "4",
        "API_KEYS": f"{ADMIN_LINE} {LOGIN_LINE}",
        "TRUSTED_PROXIES": "1",
        "LOGIN_FAILURES": "3",
        "AUDIT_LOG": str(tmp_path / "audit.log"),
        "LIVENESS_RETRIES": "0",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "PYTHONPATH": str(ROOT),
    }
    hour = Hour(ADMIN)
    with LivenessService() as liveness:
        settings["LIVENESS_SERVICE_URL"] = liveness.url
        script = "tests/support/broken_service.py"
        with RunningService(tmp_path, script=script, **settings) as service:
            service.wait_workers(2)
            hour.runs(service)
            first_life(hour, liveness, tmp_path)
            few_are_recognised(hour)
            calm(hour, minutes=9, logins=0)
            assert {name for name, _ in hour.watch.firing} == {"FewAreRecognised"}
            expected = hour.expected()
            samples = hour.scrape()
            assert {name: counted(samples, name) for name in expected} == expected
            assert counted(samples, "worker_starts_total") == {"": 6}
            assert counted(samples, "requests_in_flight") == {"": 1}
            assert counted(samples, "request_slots") == {"": 6}
            service.stop()
            check_log(service.log, hour.log_lines)
    hour.begins("NothingAnswers")
    for _ in range(1 + RULES["NothingAnswers"].patience):
        hour.minute(away=True)
    people = (
        Employee(100 + number, "Ada", "Lovelace", np.array([vector], np.float32), "dlib")
        for number, vector in enumerate(alike(100))
    )
    fill(tmp_path / "employees.db", people)
    with RunningService(tmp_path, **settings) as service:
        hour.runs(service)
        strangers_are_let_in(hour)
    assert hour.now >= 60
    late = hour.lateness()
    assert {*late} == {*RULES} - {"GalleryIsBehind"}
    assert {*late.values()} <= {0, 1}, late
