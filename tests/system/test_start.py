"""What a start says: what it refuses, what it warns of, and what runs."""

import json
import re
from pathlib import Path

from testbed.serving import RunningService, free_port
from tests.support.starting import start
from tests.unit.test_misspelt_settings import INJECTED
from tests.unit.test_settings import BAD


def test_every_bad_value_is_named_and_nothing_starts() -> None:
    # rules about two variables are checked only if each value alone is valid
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


def test_unavailable_redis_is_logged_once_at_start(tmp_path: Path) -> None:
    address = f"redis://:hunter2@127.0.0.1:{free_port()}"
    with RunningService(tmp_path, REDIS_URL=address, LOGIN_FAILURES="5") as service:
        (line,) = [line for line in service.log.splitlines() if "REDIS_URL" in line]
        assert "Redis (REDIS_URL) is unavailable, each process counts on its own" in line
        assert "Traceback" not in service.log
        assert "hunter2" not in service.log


def test_creating_a_store_is_logged(tmp_path: Path) -> None:
    with RunningService(tmp_path) as first:
        assert first.log.count("creating a new, empty store") == 1
    with RunningService(tmp_path) as second:
        assert "creating a new, empty store" not in second.log


def test_all_bad_settings_are_reported_together() -> None:
    _, output = start(API_KEY="hunter2", MONGO_URL="hunter2", WORKERS="0")
    assert output.startswith("Cannot start: ")
    for word in ("API_KEY ", "API_KEYS?", "MONGO_URL ", "MONGO_DB_URL?", "WORKERS: "):
        assert word in output
    assert "hunter2" not in output


def test_a_service_address_is_not_a_valid_port() -> None:
    _, output = start(PORT="tcp://10.0.0.1:80")
    assert output == "Cannot start: PORT: must be a whole number, not 'tcp://10.0.0.1:80'\n"


def test_only_misspelt_variables_are_warned_about_at_the_start(tmp_path: Path) -> None:
    others = dict.fromkeys([*INJECTED, "HOSTNAME", "LANG"], "tcp://10.0.0.1:80")
    with RunningService(tmp_path, REDIS_URI="redis://hunter2", **others) as service:
        log = service.log
    warnings = [line for line in log.splitlines() if "is not a setting" in line]
    assert len(warnings) == 1
    assert "REDIS_URI is not a setting: did you mean REDIS_URL?" in warnings[0]
    assert "hunter2" not in log


def test_refused_values_are_named_without_secrets() -> None:
    _, output = start(SQLITE_PATH='"/data/e.db"', MONGO_DB_PASSWORD="hunter\n2")
    assert "SQLITE_PATH: must not be in quotation marks, not '\"/data/e.db\"'" in output
    assert "MONGO_DB_PASSWORD: must not contain line breaks" in output
    assert "hunter" not in output
