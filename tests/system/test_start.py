"""What a start says: what it refuses, what it warns of, and what runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.serving import ROOT, RunningService, environment, free_port
from tests.support.starting import start
from tests.unit.test_misspelt_settings import INJECTED
from tests.unit.test_settings import BAD


def test_every_bad_value_is_named_and_nothing_starts() -> None:
    # what two variables say together is looked at when each of them is right
    bad = {
        name: value
        for name, value, takes in BAD
        if not re.search("together|because|at least MAX", takes)
    }
    _, output = start(**bad, MONGO_DB_PASSWORD="hunter2")
    assert output.startswith("Cannot start: ")
    for name in bad:
        assert re.search(rf"^(Cannot start: )?{name}: .", output, re.MULTILINE), name
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MONGO_DB_URL": "service:hunter2@db:27017/people"}, "set MONGO_DB_USERNAME and"),
        ({"MONGO_DB_URL": "db:port/people"}, "MONGO_DB_URL is not of the form host:port/database"),
        ({"FACE_MODEL": "facenet"}, "set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256"),
        (
            {"FACENET_WEIGHTS": "nowhere.pt", "FACENET_WEIGHTS_SHA256": "0" * 64}
            | {"FACE_MODEL": "facenet"},
            "nowhere.pt",
        ),
        ({"VECTOR_KEYS": "hunter2"}, "VECTOR_KEYS: entry 1 must be 32 bytes in base64"),
        ({"API_KEYS": "a:login:hunter2"}, "API_KEYS: entry 1 is not of the form"),
        ({"API_KEYS_FILE": "/nowhere/keys"}, "/nowhere/keys (API_KEYS_FILE) cannot be read"),
        ({"API_KEYS": "a", "API_KEYS_FILE": "b"}, "must not both be set"),
        ({"AUDIT_LOG": "/proc/nowhere/audit.log"}, "AUDIT_LOG"),
        ({"REDIS_URL": "redis://:hunter2@host:port"}, "REDIS_URL"),
        ({"SQLITE_PATH": "/proc/nowhere/employees.db"}, "SQLITE_PATH"),
        ({"LIVENESS_SERVICE_URL": "service:hunter2@liveness"}, "LIVENESS_SERVICE_URL"),
    ],
)
def test_what_can_never_run_stops_with_a_sentence(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    _, output = start(**{"SQLITE_PATH": str(tmp_path / "employees.db")} | variables)
    assert "Cannot start: " in output
    assert sentence in output
    assert "hunter2" not in output


def test_a_package_that_milvus_needs_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pymilvus.py").write_text("raise ModuleNotFoundError(name='pymilvus')")
    milvus = {"GALLERY_INDEX": "milvus", "MILVUS_URI": "http://127.0.0.1:19530"}
    _, output = start(SQLITE_PATH=str(tmp_path / "e.db"), PYTHONPATH=str(tmp_path), **milvus)
    assert "Cannot start: GALLERY_INDEX is milvus, but pymilvus is not installed" in output
    assert "requirements-milvus.lock" in output


def test_the_log_says_what_runs(tmp_path: Path) -> None:
    alpha = {"LOGIN_MATCH_THRESHOLD": "0.75"}
    with RunningService(tmp_path, LOG_FORMAT="json", LOG_LEVEL="info", **alpha) as service:
        service.call("DELETE", "/api/5", headers={"X-Request-ID": "look-for-me"})
        lines = [json.loads(line) for line in service.log.splitlines()]
    (ready,) = [line for line in lines if line["event"] == "ready"]
    assert ready["model"] == "dlib"
    assert ready["store"] == f"sqlite:{tmp_path / 'employees.db'}"
    assert ready["threshold"] == 0.75
    (request,) = [line for line in lines if line["event"] == "request"]
    assert request["request_id"] == "look-for-me"
    assert (request["method"], request["path"], request["status"]) == ("DELETE", "/api/5", 200)


def test_redis_that_is_away_is_said_once_at_the_start(tmp_path: Path) -> None:
    address = f"redis://:hunter2@127.0.0.1:{free_port()}"
    with RunningService(tmp_path, REDIS_URL=address, LOGIN_FAILURES="5") as service:
        (line,) = [line for line in service.log.splitlines() if "REDIS_URL" in line]
        assert "Redis (REDIS_URL) is unavailable, each process counts on its own" in line
        assert "Traceback" not in service.log
        assert "hunter2" not in service.log


def test_a_store_that_is_new_is_said_to_be(tmp_path: Path) -> None:
    with RunningService(tmp_path) as first:
        assert first.log.count("creating a new, empty store") == 1
    with RunningService(tmp_path) as second:
        assert "creating a new, empty store" not in second.log


def test_a_start_names_them_all_at_once_with_what_else_is_wrong() -> None:
    _, output = start(API_KEY="hunter2", MONGO_URL="hunter2", WORKERS="0")
    assert output.startswith("Cannot start: ")
    for word in ("API_KEY ", "API_KEYS?", "MONGO_URL ", "MONGO_DB_URL?", "WORKERS: "):
        assert word in output
    assert "hunter2" not in output


def test_an_address_of_another_service_is_no_port() -> None:
    _, output = start(PORT="tcp://10.0.0.1:80")
    assert output == "Cannot start: PORT: must be a whole number, not 'tcp://10.0.0.1:80'\n"


def test_the_log_of_a_start_warns_and_is_silent_of_others(tmp_path: Path) -> None:
    others = dict.fromkeys([*INJECTED, "HOSTNAME", "LANG"], "tcp://10.0.0.1:80")
    with RunningService(tmp_path, REDIS_URI="redis://hunter2", **others) as service:
        log = service.log
    warnings = [line for line in log.splitlines() if "is not a setting" in line]
    assert len(warnings) == 1
    assert "REDIS_URI is not a setting: did you mean REDIS_URL?" in warnings[0]
    assert "hunter2" not in log


@pytest.mark.parametrize("command", [["vectors", "rotate"], ["gallery", "check"]])
def test_commands_say_it_too(tmp_path: Path, command: list[str]) -> None:
    def run(**variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "entry", *command],
            cwd=ROOT,
            env=environment(SQLITE_PATH=str(tmp_path / "employees.db"), **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        return done.stderr

    assert "VECTOR_KEY is not a setting: did you mean VECTOR_KEYS?" in run(VECTOR_KEY="hunter2")
    assert "Warning: LOGLEVEL is not a setting: did you mean LOG_LEVEL?" in run(LOGLEVEL="debug")


def test_a_start_names_what_it_refuses() -> None:
    _, output = start(SQLITE_PATH='"/data/e.db"', MONGO_DB_PASSWORD="hunter\n2")
    assert "SQLITE_PATH: must not be in quotation marks, not '\"/data/e.db\"'" in output
    assert "MONGO_DB_PASSWORD: must not contain line breaks" in output
    assert "hunter" not in output
