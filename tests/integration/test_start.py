"""What can never run ends with a sentence. That a process ends so is seen in tests/system."""

import re
from pathlib import Path

import pytest

from app import create_app
from app.bootstrap import CANNOT_START
from app.settings import Settings
from testbed.serving import environment


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    database = {"SQLITE_PATH": str(tmp_path / "employees.db")}
    for name, value in environment(**database | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CANNOT_START, match=re.escape(sentence)) as refused:
        create_app()
    assert "hunter2" not in str(refused.value)
