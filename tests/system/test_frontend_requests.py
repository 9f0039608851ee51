"""The requests of the deployed frontend, over a real socket, and what people read on its screen."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from testbed.serving import RunningService
from tests.support import sent_photos as photos
from tests.support.features import random_vector
from tools.liveness_service import LivenessService

# What its HTTP library sends with every request.
HEADERS = {"Accept": "*/*"}
FRAMES = 15


class Frontend:
    """Sends what the frontend sends."""

    def __init__(self, service: RunningService) -> None:
        self._service = service

    def enrol(self, employee_id: int, name: str, surname: str, photo: str) -> int:
        body = {"name": name, "surname": surname, "img_base64": photo}
        return self._call("POST", f"/api/store/{employee_id}", json=body).status_code

    def list_page(self, number: int) -> list[dict[str, Any]]:
        response = self._call("GET", f"/api/get_all/30/{number}")
        assert response.status_code == 200
        users: list[dict[str, Any]] = response.json()["users"]
        for user in users:
            del user["img"]
        return users

    def delete(self, employee_id: int) -> int:
        return self._call("DELETE", f"/api/{employee_id}").status_code

    def log_in(self, photo: str, *, liveness: bool = False) -> str:
        """What the person reads."""
        response = self.find_match(photo, liveness=liveness)
        if response.status_code == 200:
            return "Hello {name} {surname}, number {_id}!".format(**response.json())
        return f"Login Failed: {response.text}!"

    def find_match(
        self, photo: str, *, liveness: bool = False, frames: int = FRAMES, frame: str = ""
    ) -> requests.Response:
        film = [frame or photos.astronaut_face()] * frames if liveness else []
        body = {"image_base64": photo, "img_crop": False, "liveness": liveness, "frames": film}
        return self._call("POST", "/api/find_match", json=body)

    def _call(self, method: str, path: str, **options: object) -> requests.Response:
        return self._service.call(method, path, headers=HEADERS, **options)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, liveness: LivenessService
) -> Iterator[RunningService]:
    with RunningService(
        tmp_path_factory.mktemp("frontend"),
        LIVENESS_SERVICE_URL=liveness.url + "/",
        LIVENESS_TIMEOUT_S="2",
        MAX_BODY_MB="8",
        LOGIN_FAILURES="10",
    ) as service:
        yield service


@pytest.fixture
def frontend(service: RunningService) -> Iterator[Frontend]:
    """The frontend, with the astronaut enrolled."""
    frontend = Frontend(service)
    assert frontend.enrol(7, "Eileen", "Collins", photos.astronaut()) == 200
    yield frontend
    assert frontend.delete(7) == 200


def test_enrol_list_log_in_delete(frontend: Frontend) -> None:
    assert frontend.enrol(3, "Grace", "Hopper", photos.admiral()) == 200
    assert frontend.list_page(1) == [
        {"_id": 3, "name": "Grace", "surname": "Hopper"},
        {"_id": 7, "name": "Eileen", "surname": "Collins"},
    ]
    assert frontend.list_page(2) == []
    assert frontend.log_in(photos.admiral()) == "Hello Grace Hopper, number 3!"
    assert frontend.log_in(photos.astronaut_again()) == "Hello Eileen Collins, number 7!"
    assert frontend.delete(3) == 200
    assert frontend.log_in(photos.admiral()) == "Login Failed: no matches found!"
    assert frontend.list_page(1) == [{"_id": 7, "name": "Eileen", "surname": "Collins"}]


def test_somebody_is_deleted_twice(service: RunningService, frontend: Frontend) -> None:
    """In two tabs: to the frontend, anything but 200 is an internal error."""
    assert [frontend.delete(7) for _ in range(3)] == [200] * 3
    assert frontend.list_page(1) == []
    assert frontend.log_in(photos.astronaut_again()) == "Login Failed: no matches found!"
    again = service.call("DELETE", "/api/7", headers=HEADERS)
    assert (again.status_code, again.text) == (200, "ok")
    assert frontend.enrol(7, "Eileen", "Collins", photos.astronaut()) == 200
    assert frontend.log_in(photos.astronaut_again()) == "Hello Eileen Collins, number 7!"


def test_all_people_share_its_address(service: RunningService, frontend: Frontend) -> None:
    """However often strangers try, whoever is enrolled logs in at once."""
    for _ in range(15):
        assert frontend.log_in(photos.admiral()) == "Login Failed: no matches found!"
        assert frontend.log_in(photos.coffee()).startswith("Login Failed: no face was found")
    assert frontend.log_in(photos.astronaut_again()) == "Hello Eileen Collins, number 7!"


@pytest.mark.parametrize("crop", [True, False, None])
def test_the_box_for_cropping_changes_nothing_for_a_whole_photo(
    service: RunningService, frontend: Frontend, crop: bool | None
) -> None:
    body = {"image_base64": photos.astronaut_again(), "img_crop": crop, "frames": []}
    answer = service.call("POST", "/api/find_match", headers=HEADERS, json=body)
    assert (answer.status_code, answer.json()["_id"]) == (200, 7)


def test_pages_of_thirty(service: RunningService) -> None:
    frontend = Frontend(service)
    body = {"name": "Ada", "surname": "Byron"}
    for number in range(31):
        features = {"img_features": [random_vector(number)]}
        stored = service.call("POST", f"/api/store/{number}", json=body | features, headers=HEADERS)
        assert stored.status_code == 200
    try:
        assert [user["_id"] for user in frontend.list_page(1)] == list(range(30))
        assert frontend.list_page(2) == [{"_id": 30, "name": "Ada", "surname": "Byron"}]
        assert frontend.list_page(3) == []
    finally:
        assert {frontend.delete(number) for number in range(31)} == {200}


def test_the_answers_that_are_shown_nowhere_are_ok(service: RunningService) -> None:
    body = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
    stored = service.call("POST", "/api/store/8", json=body)
    deleted = service.call("DELETE", "/api/8")
    assert (stored.status_code, stored.text) == (200, "ok")
    assert (deleted.status_code, deleted.text) == (200, "ok")


def test_a_match_has_exactly_these_keys(frontend: Frontend) -> None:
    response = frontend.find_match(photos.astronaut())
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"_id": 7, "name": "Eileen", "surname": "Collins"}


def test_names_are_answered_as_they_were_sent(service: RunningService) -> None:
    frontend = Frontend(service)
    assert frontend.enrol(9, "Žofie 李", "O'Brien-Ångström 🚀", photos.admiral()) == 200
    try:
        expected = {"_id": 9, "name": "Žofie 李", "surname": "O'Brien-Ångström 🚀"}
        assert frontend.find_match(photos.admiral()).json() == expected
        assert frontend.list_page(1) == [expected]
    finally:
        frontend.delete(9)


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "data:image/jpeg;base64,"])
def test_the_prefix_of_a_data_url_is_taken(frontend: Frontend, prefix: str) -> None:
    assert frontend.enrol(3, "Grace", "Hopper", prefix + photos.admiral()) == 200
    assert frontend.log_in(prefix + photos.admiral()) == "Hello Grace Hopper, number 3!"
    assert frontend.delete(3) == 200


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        pytest.param(photos.admiral, "no matches found", id="a stranger"),
        pytest.param(photos.coffee, "no face was found in the picture", id="no face"),
        pytest.param(photos.cat, "no face was found in the picture", id="a cat"),
        pytest.param(
            lambda: "aGVsbG8=",
            "not a picture we can read (JPEG, PNG, WEBP, AVIF, HEIF, GIF, TIFF, BMP)",
            id="not a picture",
        ),
        pytest.param(
            lambda: photos.astronaut()[:4000],
            "the picture is damaged or cut off",
            id="cut off",
        ),
        pytest.param(lambda: "?", "image_base64: is not base64", id="not base64"),
        pytest.param(lambda: "", "image_base64: is empty", id="empty"),
    ],
)
def test_what_a_person_reads_when_refused(
    frontend: Frontend, photo: Callable[[], str], sentence: str
) -> None:
    assert frontend.log_in(photo()) == f"Login Failed: {sentence}!"


def test_refusals_are_plain_text(frontend: Frontend) -> None:
    response = frontend.find_match(photos.admiral())
    assert response.status_code == 406
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_missing_photo_is_named(service: RunningService) -> None:
    body = {"liveness": False, "frames": []}
    response = service.call("POST", "/api/find_match", json=body, headers=HEADERS)
    assert (response.status_code, response.text) == (400, "img_base64: is missing")


def test_nobody_is_found_where_nobody_is_enrolled(service: RunningService) -> None:
    frontend = Frontend(service)
    assert frontend.list_page(1) == []
    assert frontend.log_in(photos.astronaut()) == "Login Failed: no matches found!"


def test_a_body_that_is_too_large_is_answered_and_not_cut_off(service: RunningService) -> None:
    # The service closes the connection: a client that still sends must get the answer, too.
    response = Frontend(service).find_match("A" * 9_000_000)
    assert response.status_code == 413
    assert response.text == "the request is larger than 8 MB"


def test_a_body_of_unknown_length_is_limited_too(service: RunningService) -> None:
    chunks = (b"A" * 500_000 for _ in range(18))
    headers = {"Content-Type": "application/json"}
    response = service.call("POST", "/api/find_match", data=chunks, headers=headers)
    assert response.status_code == 413


def test_a_living_face_logs_in(frontend: Frontend, liveness: LivenessService) -> None:
    liveness.says(True)
    assert frontend.log_in(photos.astronaut(), liveness=True) == "Hello Eileen Collins, number 7!"
    assert liveness.asked[-1] == {"frames": [photos.astronaut_face()] * FRAMES}


def test_the_liveness_service_gets_frames_without_prefix(
    frontend: Frontend, liveness: LivenessService
) -> None:
    liveness.says(True)
    frame = "data:image/png;base64," + photos.astronaut_face()
    assert frontend.find_match(photos.astronaut(), liveness=True, frame=frame).status_code == 200
    assert liveness.asked[-1] == {"frames": [photos.astronaut_face()] * FRAMES}


def test_a_face_that_does_not_live_is_refused(
    frontend: Frontend, liveness: LivenessService
) -> None:
    liveness.says(False)
    response = frontend.find_match(photos.astronaut(), liveness=True)
    assert (response.status_code, response.text) == (406, "Liveness check failed")


def test_without_liveness_nobody_is_asked(frontend: Frontend, liveness: LivenessService) -> None:
    before = len(liveness.asked)
    assert frontend.find_match(photos.astronaut()).status_code == 200
    assert len(liveness.asked) == before


@pytest.mark.parametrize("frames", [0, 14, 16])
def test_another_number_of_frames_is_refused(frontend: Frontend, frames: int) -> None:
    response = frontend.find_match(photos.astronaut(), liveness=True, frames=frames)
    assert response.status_code == 400
    assert response.text == f"frames: 15 are needed for liveness, {frames} were sent"


def refused_for_now(response: requests.Response) -> bool:
    """Not a login, but the promise that trying again may help."""
    return response.status_code == 503 and "Retry-After" in response.headers


@pytest.mark.parametrize("result", ["true", "True", 1, 1.0, None, [True], {"result": True}])
def test_only_true_itself_logs_in(
    frontend: Frontend, liveness: LivenessService, result: object
) -> None:
    liveness.says(result)
    response = frontend.find_match(photos.astronaut(), liveness=True)
    assert refused_for_now(response)
    assert response.text == "the liveness service gave no clear answer, try again"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, "<html>Welcome</html>", id="HTML"),
        pytest.param(200, "", id="nothing"),
        pytest.param(200, "true", id="a bare true"),
        pytest.param(200, '[{"result": true}]', id="a list"),
        pytest.param(200, '{"alive": true}', id="another key"),
        pytest.param(200, '{"result": true', id="cut off"),
        pytest.param(201, '{"result": true}', id="created"),
        pytest.param(400, '{"result": true}', id="a refusal"),
        pytest.param(500, '{"result": true}', id="an error"),
        pytest.param(503, "<html>Application is not available</html>", id="a router's page"),
    ],
)
def test_an_answer_without_a_verdict_never_logs_in(
    frontend: Frontend, liveness: LivenessService, status: int, body: str
) -> None:
    liveness.answers(body, status)
    assert refused_for_now(frontend.find_match(photos.astronaut(), liveness=True))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    frontend: Frontend, liveness: LivenessService, status: int
) -> None:
    with LivenessService() as elsewhere:
        elsewhere.says(True)
        liveness.answers("", status, {"Location": elsewhere.url + "/liveness_check"})
        assert refused_for_now(frontend.find_match(photos.astronaut(), liveness=True))
        assert elsewhere.asked == []


def test_a_liveness_service_that_is_away_lets_nobody_in(
    frontend: Frontend, liveness: LivenessService
) -> None:
    liveness.says(True)
    with liveness.away():
        response = frontend.find_match(photos.astronaut(), liveness=True)
    assert refused_for_now(response)
    assert response.text == "the liveness service is unavailable, try again"
    assert frontend.find_match(photos.astronaut(), liveness=True).status_code == 200


def test_a_liveness_service_that_hangs_lets_nobody_in(
    frontend: Frontend, liveness: LivenessService
) -> None:
    liveness.says(True)
    liveness.hang()
    response = frontend.find_match(photos.astronaut(), liveness=True)
    liveness.go_on()
    assert refused_for_now(response)
    assert response.elapsed.total_seconds() < 10
