"""Both Python clients against the service, and against a network that fails."""

import base64
import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.access import Role
from app.access.api_keys import new_key
from image_registration import (
    AccessDenied,
    Client,
    Conflict,
    EmployeeExists,
    FaceEnrolled,
    FaceRefused,
    FraudSuspected,
    InvalidRequest,
    LoginRefused,
    NewEmployee,
    NoAnswer,
    NoMatch,
    NotAlive,
    NotFound,
    NotVerified,
    PreconditionFailed,
    Refused,
    Retry,
    ServiceError,
    ServiceUnavailable,
    TooManyRequests,
)
from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import RunningService, free_port
from tests.support import sent_photos
from tests.support.both_clients import Calls
from tests.support.faulty_proxy import CUT, CUT_ANSWER, Answer, FaultyProxy, problem
from tests.support.features import random_vector

ADMIN, ADMIN_LINE = new_key([Role.ADMIN])
SITE, SITE_LINE = new_key([Role.ENROL], "site", ["site-a"])
ASTRONAUT_AGAIN = base64.b64decode(sent_photos.astronaut_again())
COFFEE = base64.b64decode(sent_photos.coffee())
QUICK = Retry(attempts=4, deadline_s=20, backoff_s=0.01)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("client")
    with RunningService(folder, API_KEYS=f"{ADMIN_LINE} {SITE_LINE}") as running:
        with Client(running.url, ADMIN) as client:
            client.enrol(person(9))  # finds what is slow the first time
        yield running


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def client(service: RunningService, is_async: bool) -> Calls:
    """A client with a key for everything; nobody is enrolled."""
    calls = Calls(is_async, service.url, api_key=ADMIN)
    for employee in calls.employees():
        calls.delete_employee(employee.employee_id)
    return calls


@pytest.fixture
def proxy(service: RunningService) -> Iterator[FaultyProxy]:
    with FaultyProxy(service.url) as running:
        yield running


@pytest.fixture
def through(client: Calls, proxy: FaultyProxy, is_async: bool) -> Calls:
    """A client that calls through the proxy; nobody is enrolled."""
    return Calls(is_async, proxy.url, api_key=ADMIN, retry=QUICK)


def person(employee_id: int, **more: Any) -> NewEmployee:  # noqa: ANN401
    vectors = [] if "photos" in more else [random_vector(employee_id)]
    return NewEmployee(
        **{"employee_id": employee_id, "name": "Ada", "feature_vectors": vectors} | more
    )


def test_enrol_change_and_remove(client: Calls) -> None:
    wanted = person(
        1,
        name="Eileen",
        surname="Collins",
        photos=[ASTRONAUT, COFFEE],
        external_id="HR-7",
        metadata={"badge": [1, None]},
        groups=["staff", "site-a"],
        partial=True,
    )
    made = client.enrol(wanted)
    assert made.is_new
    assert [(each.photo, each.code) for each in made.refused] == [(2, "no_face")]
    employee = made.employee
    assert client.get_employee(1) == employee
    assert (employee.name, employee.external_id, employee.groups) == (
        "Eileen",
        "HR-7",
        ("site-a", "staff"),
    )
    assert employee.metadata == {"badge": [1, None]}
    assert abs(datetime.now(UTC) - employee.enrolled_at) < timedelta(minutes=5)
    assert [(each.source, each.quality) for each in employee.samples] == [("photo", "good")]
    changed = client.change_employee(1, surname="C", external_id="", if_match=employee.etag)
    assert (changed.name, changed.surname, changed.external_id) == ("Eileen", "C", None)
    with pytest.raises(PreconditionFailed):
        client.change_employee(1, surname="D", if_match=employee.etag)
    with pytest.raises(PreconditionFailed):
        client.delete_employee(1, if_match=employee.etag)
    sample = client.add_sample(1, ASTRONAUT_AGAIN)
    client.delete_sample(1, employee.samples[0].sample_id)
    assert client.get_employee(1).samples == (sample,)
    with pytest.raises(Conflict, match="last"):
        client.delete_sample(1, sample.sample_id)
    assert not client.enrol(person(1)).is_new
    client.delete_employee(1)
    with pytest.raises(NotFound):
        client.get_employee(1)


def test_log_in_and_search(client: Calls) -> None:
    client.enrol(person(1, name="Eileen", photos=[ASTRONAUT_AGAIN], groups=["a"]))
    match = client.identify(ASTRONAUT, group="a", threshold=0.79)
    assert (match.employee_id, match.name, match.checks, match.model) == (1, "Eileen", (), "dlib")
    assert match.took_ms > 0
    assert client.verify(1, ASTRONAUT).model == "dlib"
    found = client.candidates(ASTRONAUT, limit=3)
    assert found.face.landmarks["left_eye"][0] > found.face.box.left
    assert [each.employee_id for each in found.candidates] == [1]
    assert found.candidates[0].distance < found.threshold
    compared = client.compare(ASTRONAUT, GRACE_HOPPER)
    assert not compared.matched
    assert 0 < compared.comparison_score < 1
    judged = client.faces(ASTRONAUT)
    assert (judged.width, judged.height, len(judged.faces)) == (512, 512, 1)
    assert (judged.faces[0].usable, judged.faces[0].code) == (True, None)
    assert judged.faces[0].quality["size_px"] > 50
    vectors = client.feature_vectors([ASTRONAUT, COFFEE]).vectors
    assert len(vectors[0]) == 128
    assert isinstance(vectors[1], Refused)
    assert (vectors[1].photo, vectors[1].code) == (2, "no_face")
    by_vector = client.candidates(feature_vector=vectors[0])
    assert by_vector.face is None
    assert by_vector.candidates[0].employee_id == 1


def test_photos_in_every_form(client: Calls) -> None:
    picture = Image.open(ASTRONAUT)
    turned = picture.rotate(90, expand=True)
    turned.getexif()[0x0112] = 6  # it is upright if turned clockwise
    forms = [
        ASTRONAUT,
        str(ASTRONAUT),
        ASTRONAUT.read_bytes(),
        BytesIO(ASTRONAUT.read_bytes()),
        np.asarray(picture.convert("RGB")),
        picture,
        turned,
    ]
    vectors = client.feature_vectors(forms).vectors
    assert len(set(vectors)) == 1


def test_what_is_no_photo(client: Calls) -> None:
    with pytest.raises(FileNotFoundError):
        client.faces("missing.jpg")
    for wrong in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), 7):
        with pytest.raises(TypeError, match="of shape"):
            client.faces(wrong)
    with pytest.raises(TypeError, match="list"):
        client.feature_vectors(ASTRONAUT)


def test_lists_go_on_from_page_to_page(client: Calls) -> None:
    for employee_id in range(5):
        client.enrol(person(employee_id, groups=["odd"] if employee_id % 2 else []))
    assert [each.employee_id for each in client.employees(limit=2)] == [0, 1, 2, 3, 4]
    assert [each.employee_id for each in client.employees(group="odd")] == [1, 3]
    page = client.page("ad", limit=2)
    assert (len(page.employees), page.total, page.next_cursor) == (2, 5, "1")


def test_errors_say_what_is_wrong(client: Calls, service: RunningService, is_async: bool) -> None:
    client.enrol(person(1))
    with pytest.raises(NoMatch) as raised:
        client.identify(ASTRONAUT)
    error = raised.value
    assert (error.status, error.code, error.detail) == (406, "no_match", "no matches found")
    assert error.request_id in service.log
    assert error.retry_after is None
    with pytest.raises(NotVerified):
        client.verify(1, ASTRONAUT)
    with pytest.raises(FaceRefused, match="no face") as refused:
        client.enrol(person(2, photos=[COFFEE]))
    assert refused.value.code == "no_face"
    assert refused.value.refused == ()
    with pytest.raises(FaceRefused) as refused:
        client.enrol(person(2, photos=[COFFEE, b"no picture"], partial=True))
    why = [(each.photo, each.code) for each in refused.value.refused]
    assert why == [(1, "no_face"), (2, "not_an_image")]
    with pytest.raises(FaceRefused) as refused:
        client.faces(b"no picture")
    assert refused.value.code == "not_an_image"
    with pytest.raises(PreconditionFailed):
        client.enrol(person(1), only_new=True)
    with pytest.raises(InvalidRequest, match="limit"):
        client.candidates(ASTRONAUT, limit=99)
    with pytest.raises(AccessDenied) as denied:
        Calls(is_async, service.url, api_key="wrong").faces(ASTRONAUT)
    assert denied.value.code == "key_unknown"
    site = Calls(is_async, service.url, api_key=SITE)
    with pytest.raises(EmployeeExists):
        site.enrol(person(1))


@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (problem(406, "not_alive"), NotAlive, None),
        (problem(406, "fraud_suspected"), FraudSuspected, None),
        (problem(406, "of_tomorrow"), LoginRefused, None),
        (problem(409, "face_enrolled"), FaceEnrolled, None),
        (problem(429, "too_many_failures", 7), TooManyRequests, 7),
        (problem(503, "liveness_unavailable"), ServiceUnavailable, None),
        (problem(500, "internal_error"), ServiceError, None),
        (Answer(200, b"<html>", {"Content-Type": "text/html"}), ServiceError, None),
        (Answer(404, b"nothing here", {}), InvalidRequest, None),
    ],
)
def test_what_a_retry_cannot_help_is_raised_at_once(
    through: Calls, proxy: FaultyProxy, answer: Answer, kind: type[ServiceError], retry_after: int
) -> None:
    proxy.script = [answer]
    with pytest.raises(kind) as raised:
        through.identify(ASTRONAUT)
    assert type(raised.value) is kind
    assert raised.value.retry_after == retry_after
    assert len(proxy.seen) == 1


def test_only_a_true_verification_lets_in(through: Calls, proxy: FaultyProxy) -> None:
    body = b'{"verified": false, "checks": [], "model": "dlib", "took_ms": 1}'
    proxy.script = [Answer(200, body, {"Content-Type": "application/json"})]
    with pytest.raises(ServiceError, match="unreadable_answer"):
        through.verify(1, ASTRONAUT)


def test_a_write_is_repeated_and_done_once(through: Calls, proxy: FaultyProxy) -> None:
    through.enrol(person(1, photos=[ASTRONAUT]))
    proxy.seen.clear()
    proxy.script = [problem(503, "overloaded", 0), CUT, CUT_ANSWER]
    sample = through.add_sample(1, ASTRONAUT_AGAIN)
    assert len(proxy.seen) == 4
    assert len({seen.headers["Idempotency-Key"] for seen in proxy.seen}) == 1
    assert len({seen.body for seen in proxy.seen}) == 1
    samples = through.get_employee(1).samples
    assert len(samples) == 2
    assert sample in samples


def test_every_write_survives_a_lost_answer(through: Calls, proxy: FaultyProxy) -> None:
    proxy.script = [CUT_ANSWER]
    etag = through.enrol(person(1), only_new=True).employee.etag
    proxy.script = [CUT_ANSWER]
    etag = through.change_employee(1, surname="L", if_match=etag).etag
    proxy.script = [CUT_ANSWER]
    sample = through.add_sample(1, feature_vector=random_vector(2), if_match=etag)
    proxy.script = [CUT_ANSWER]
    through.delete_sample(1, sample.sample_id)
    proxy.script = [CUT_ANSWER]
    through.delete_employee(1)
    assert not proxy.script
    keys = {seen.headers["Idempotency-Key"] for seen in proxy.seen}
    assert (len(keys), len(proxy.seen)) == (5, 10)


def test_reads_are_repeated(through: Calls, proxy: FaultyProxy) -> None:
    proxy.script = [CUT, Answer(502, b"bad gateway", {}), problem(429, "too_many_requests", 0)]
    assert through.page().total == 0
    assert len(proxy.seen) == 4


def test_logins_are_repeated_only_if_nobody_was_refused(through: Calls, proxy: FaultyProxy) -> None:
    proxy.script = [problem(503, "overloaded", 0)]
    with pytest.raises(NoMatch):
        through.identify(ASTRONAUT)
    assert len(proxy.seen) == 2
    for lost in (CUT_ANSWER, Answer(504, b"gateway timeout", {})):
        proxy.seen.clear()
        proxy.script = [lost]
        with pytest.raises((NoAnswer, ServiceUnavailable)):
            through.identify(ASTRONAUT)
        assert len(proxy.seen) == 1


def test_patience_ends(through: Calls, proxy: FaultyProxy, is_async: bool) -> None:
    proxy.script = [CUT] * 9
    with pytest.raises(NoAnswer, match="after 4 attempts"):
        through.page()
    assert len(proxy.seen) == 4
    proxy.seen.clear()
    proxy.script = [problem(503, "not_ready", 600)]
    with pytest.raises(ServiceUnavailable) as raised:
        through.page()
    assert (raised.value.retry_after, len(proxy.seen)) == (600, 1)
    nobody = Calls(is_async, f"http://127.0.0.1:{free_port()}", retry=QUICK)
    with pytest.raises(NoAnswer, match="after 4 attempts"):
        nobody.identify(ASTRONAUT)


def test_a_service_that_comes_back_is_waited_for(through: Calls, proxy: FaultyProxy) -> None:
    proxy.script = [problem(503, "not_ready", 1)]
    began = datetime.now(UTC)
    assert through.page().total == 0
    assert datetime.now(UTC) - began >= timedelta(seconds=1)


def test_enrol_many(through: Calls, proxy: FaultyProxy, tmp_path: Path) -> None:
    people = [
        *(person(number) for number in range(1, 9)),
        person(9, photos=[COFFEE]),
        person(10, photos=[tmp_path / "missing.jpg"]),
        person(11, photos=[ASTRONAUT]),
    ]
    through.enrol(person(3))
    proxy.script = [problem(503, "overloaded", 0), CUT]
    done: list[int] = []
    outcomes = through.enrol_many(iter(people), only_new=True, concurrency=3, progress=done.append)
    assert done == list(range(1, 12))
    assert 1 < proxy.most <= 3
    refused = {each.person.employee_id: type(each.error) for each in outcomes if not each.enrolled}
    assert refused == {3: PreconditionFailed, 9: FaceRefused, 10: FileNotFoundError}
    enrolled = [each.enrolled.employee.employee_id for each in outcomes if each.enrolled]
    assert sorted(enrolled) == [1, 2, 4, 5, 6, 7, 8, 11]
    assert through.page().total == 9


def test_enrol_many_stops_at_an_error_that_meets_everybody(
    proxy: FaultyProxy, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = Calls(is_async, proxy.url, api_key="wrong")
    with pytest.raises(AccessDenied):
        wrong.enrol_many((person(number) for number in range(100)), concurrency=2)
    assert len(proxy.seen) <= 4
    with pytest.raises(AccessDenied):
        wrong.enrol_many((person(number) for number in range(100)), concurrency=50)
    gc.collect()
    assert "never retrieved" not in caplog.text  # asyncio says it of errors that nobody has seen
