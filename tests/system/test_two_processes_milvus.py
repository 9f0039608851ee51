"""Processes that share one index in Milvus, which may hang, go away and come back."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from testbed.milvus import MilvusServer
from testbed.mongod import Mongod
from testbed.serving import ROOT, RunningService
from tests.support import sent_photos as photos
from tests.support.features import random_vector

EILEEN = {"name": "Eileen", "surname": "Collins", "img_base64": photos.astronaut()}
GRACE = {"name": "Grace", "surname": "Hopper", "img_base64": photos.admiral()}
TIMEOUT_S = 1.0
AWAY = "the index is away, try again"


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


@pytest.mark.mongod
def test_what_one_enrols_replaces_and_deletes_the_others_know_at_once(
    tmp_path: Path, milvus: MilvusServer, mongod: Mongod, database: str
) -> None:
    """One process and two workers, on MongoDB; random writers meanwhile."""
    url = f"{mongod.address}/{database}"
    environment = on(milvus, MONGO_DB_URL=url, MILVUS_TIMEOUT_S="20", MONGO_DB_TIMEOUT_S="20")
    with (
        RunningService(tmp_path, **environment) as one,
        RunningService(tmp_path, WORKERS="2", **environment) as others,
    ):
        others.wait_workers(2)  # one that starts says 503

        def passers_by(seed: int) -> list[int]:
            """Enrols, replaces and deletes strangers of its own; answers that are not 200."""
            generator = random.Random(seed)
            there: set[int] = set()
            wrong = []
            for turn in range(20):
                service, employee_id = generator.choice((one, others)), 100 * seed
                employee_id += generator.randrange(5)
                vectors = [random_vector(1_000 * seed + turn)]
                body = {"name": "x", "surname": "y", "img_features": vectors}
                if employee_id not in there:
                    status = store(service, employee_id, body)
                    there.add(employee_id)
                elif generator.random() < 0.5:
                    status = store(service, employee_id, body, "PUT")
                else:
                    status = service.call("DELETE", f"/api/{employee_id}").status_code
                    there.remove(employee_id)
                if status != 200:
                    wrong.append(status)
            return wrong

        with ThreadPoolExecutor(2) as threads:
            strangers = [threads.submit(passers_by, seed) for seed in (1, 2)]
            for _ in range(5):  # often enough that each of the workers is asked
                assert store(one, 1, EILEEN) == 200
                assert find(others, photos.astronaut_again()) == 1
                assert store(others, 1, GRACE) == 409
                assert store(others, 1, GRACE, "PUT") == 200
                assert find(one, photos.astronaut()) == "no matches found"
                assert find(one, photos.admiral()) == find(others, photos.admiral()) == 1
                assert one.call("DELETE", "/api/1").status_code == 200
                assert find(others, photos.admiral()) == "no matches found"
            assert [wrong.result() for wrong in strangers] == [[], []]
        ready = one.call("GET", "/readyz").json()
        assert ready["employees"] == len(one.call("GET", "/api/get_all/30/1").json()["users"])


def test_nobody_is_let_in_while_the_index_hangs_or_is_gone(
    tmp_path: Path, own_milvus: MilvusServer
) -> None:
    with RunningService(tmp_path, **on(own_milvus)) as service:
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
            assert max(seconds for _, _, seconds in answers) < TIMEOUT_S * 1.1 + 2
            began = time.monotonic()
            enrolled = service.call("POST", "/api/store/2", json=GRACE)
            assert (enrolled.status_code, enrolled.text) == (503, AWAY)
            assert enrolled.headers["Retry-After"]
            assert time.monotonic() - began < TIMEOUT_S * 1.1 + 1
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
