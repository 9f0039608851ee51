"""A service whose index is in Milvus, which may hang, go away and come back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from testbed.milvus import MilvusServer
from testbed.serving import ROOT, RunningService
from tests.support import sent_photos as photos

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
TIMEOUT_S = 1.0
AWAY = "the index is unavailable, try again"


def on(server: MilvusServer, **variables: str) -> dict[str, str]:
    """The service's environment, with a collection of its own."""
    return {
        "GALLERY_INDEX": "milvus",
        "MILVUS_URI": server.uri,
        "MILVUS_COLLECTION": f"t{uuid4().hex}",
        "MILVUS_TIMEOUT_S": f"{TIMEOUT_S}",
    } | variables


@pytest.fixture
def own_milvus() -> Iterator[MilvusServer]:
    """A server that a test may end."""
    with MilvusServer() as server:
        yield server


def find(service: RunningService, photo: str) -> int | str:
    response = service.call("POST", "/api/find_match", json={"image_base64": photo})
    if response.status_code == 200:
        employee_id: int = response.json()["_id"]
        return employee_id
    return response.text


def store(service: RunningService, employee_id: int, body: object, method: str = "POST") -> int:
    return service.call(method, f"/api/store/{employee_id}", json=body).status_code


def test_nobody_is_let_in_while_the_index_hangs_or_is_gone(
    tmp_path: Path, own_milvus: MilvusServer
) -> None:
    with RunningService(tmp_path, **on(own_milvus), MAX_IN_FLIGHT="16") as service:
        assert store(service, 1, EILEEN) == 200

        def refused_in_time() -> None:
            """Sixteen logins at once; enrolment, deletion, and readiness."""

            def login(_: int) -> tuple[int, str, float]:
                began = time.monotonic()
                answer = service.call(
                    "POST", "/api/find_match", json={"image_base64": photos.astronaut()}
                )
                return answer.status_code, answer.text, time.monotonic() - began

            with ThreadPoolExecutor(16) as threads:
                answers = list(threads.map(login, range(16)))
            assert {(status, text) for status, text, _ in answers} == {(503, AWAY)}
            assert max(seconds for _, _, seconds in answers) < TIMEOUT_S + 3
            began = time.monotonic()
            enrolled = service.call("POST", "/api/store/2", json=GRACE)
            assert (enrolled.status_code, enrolled.text) == (503, AWAY)
            assert enrolled.headers["Retry-After"]
            assert time.monotonic() - began < TIMEOUT_S + 2
            assert service.call("DELETE", "/api/1").status_code == 503
            assert service.call("GET", "/readyz").status_code == 503
            assert service.call("GET", "/healthz").status_code == 200
            users = service.call("GET", "/api/get_all/30/1").json()["users"]
            assert [user["_id"] for user in users] == [1]  # nothing was half written

        with own_milvus.frozen():
            refused_in_time()
        service.wait_ready(20)
        assert find(service, photos.astronaut()) == 1
        own_milvus.kill()
        refused_in_time()
        own_milvus.start()
        service.wait_ready(20)
        assert find(service, photos.astronaut()) == 1
        assert store(service, 2, GRACE) == 200


def test_a_service_waits_for_its_index_and_for_everyone_to_be_in_it(
    tmp_path: Path, own_milvus: MilvusServer
) -> None:
    own_milvus.kill()
    with RunningService(tmp_path) as before:
        assert store(before, 1, EILEEN) == 200
    with RunningService(tmp_path, ready=False, **on(own_milvus)) as service:

        def waits_for(words: str) -> None:
            deadline = time.monotonic() + 20
            while words not in (waiting := service.wait_for("/readyz", 503)).text:
                assert time.monotonic() < deadline, waiting.text
                time.sleep(0.1)

        waits_for("MILVUS_URI")
        own_milvus.start()
        waits_for("gallery rebuild")
        assert (
            service.call(
                "POST", "/api/find_match", json={"image_base64": photos.astronaut()}
            ).status_code
            == 503
        )
        rebuild = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "entry", "gallery", "rebuild"],
            cwd=ROOT,
            env=service.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert rebuild.returncode == 0, rebuild.stderr
        service.wait_ready(20)
        assert find(service, photos.astronaut()) == 1


def test_a_file_serves_one_process_without_any_server(tmp_path: Path) -> None:
    environment = {"GALLERY_INDEX": "milvus", "MILVUS_URI": str(tmp_path / "gallery.db")}
    with RunningService(tmp_path, **environment) as service:
        assert store(service, 1, EILEEN) == 200
        assert store(service, 1, GRACE, "PUT") == 200
        assert find(service, photos.admiral()) == 1
        assert service.stop() == 0
    with RunningService(tmp_path, **environment) as service:
        assert find(service, photos.admiral()) == 1
        assert find(service, photos.astronaut()) == "no matches found"


def test_a_write_that_did_not_reach_the_index_is_completed_by_its_retry(
    tmp_path: Path, own_milvus: MilvusServer
) -> None:
    """The write reaches the store; then the service is killed, and so is the index."""
    environment = on(own_milvus)
    with RunningService(tmp_path, **environment) as service:
        headers = {"Idempotency-Key": "one and the same"}

        def enrol() -> int:
            return service.call("POST", "/api/store/1", json=EILEEN, headers=headers).status_code

        assert enrol() == 200
        client = own_milvus.client()
        client.delete(f"{environment['MILVUS_COLLECTION']}_dlib", filter="employee_id == 1")
        client.close()
        assert find(service, photos.astronaut()) == "no matches found"
        assert enrol() == 200
        assert find(service, photos.astronaut()) == 1


def test_the_token_is_in_no_log(tmp_path: Path, milvus: MilvusServer) -> None:
    environment = on(milvus, MILVUS_TOKEN="root:s3cret-token", LOG_LEVEL="debug")
    with RunningService(tmp_path, **environment) as service:
        assert store(service, 1, EILEEN) == 200
        assert "s3cret" not in service.log
