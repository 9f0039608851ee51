"""Settings are environment variables, and a bad one stops the start with a clear message."""

import re

import pytest

from app.recognition.image import FORMATS
from app.settings import Settings, SettingsError, load_settings
from testbed.serving import ROOT

BAD = [
    ("PORT", "abc", "must be a whole number"),
    ("PORT", "0", "must be at least 1"),
    ("PORT", "65536", "must be at most 65535"),
    ("WORKERS", "0", "must be at least 1"),
    ("WORKERS", "1.5", "must be a whole number"),
    ("THREADS", "1", "must be at least 2"),
    ("MAX_IN_FLIGHT", "0", "must be at least 1"),
    ("MONGO_DB_PROTOCOL", "http", "'mongodb' or 'mongodb+srv'"),
    ("MONGO_DB_TIMEOUT_S", "0", "must be more than 0"),
    ("FACE_MODEL", "arcface", "'auto', 'vggface2', 'dlib', 'facenet' or 'onnx'"),
    ("FACENET_WEIGHTS", "weights.pt", "FACENET_WEIGHTS_SHA256 must be set together"),
    ("FACENET_WEIGHTS_SHA256", "abc", "64 hexadecimal digits"),
    ("FACENET_WEIGHTS_SHA256", "0" * 64, "must be set together"),
    ("GALLERY_INDEX", "disk", "'memory' or 'milvus'"),
    ("GALLERY_INDEX", "milvus", "set MILVUS_URI, because"),
    ("MILVUS_URI", "milvus:19530", "must look like http://host:port"),
    ("MILVUS_URI", "http://root:hunter2@milvus:19530", "MILVUS_TOKEN"),
    ("MILVUS_COLLECTION", "of employees", "should match pattern"),
    ("MILVUS_TIMEOUT_S", "0", "must be more than 0"),
    ("DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
    ("LOGIN_MATCH_THRESHOLD", "1.01", "must be at most 1"),
    ("LOGIN_MATCH_THRESHOLD", "-0.1", "must be at least 0"),
    ("LOGIN_MATCH_THRESHOLD", "0,8", "must be a number"),
    ("LOGIN_MATCH_THRESHOLD", "nan", "must be at most 1"),
    ("LIVENESS_SERVICE_URL", "liveness:8080", "http://host:port"),
    ("LIVENESS_TIMEOUT_S", "inf", "must be at most 120"),
    ("LIVENESS_CONNECT_TIMEOUT_S", "0", "must be more than 0"),
    ("LIVENESS_READ_TIMEOUT_S", "soon", "must be a number"),
    ("LIVENESS_RETRIES", "11", "must be at most 10"),
    ("LIVENESS_USERNAME", "me", "LIVENESS_PASSWORD together"),
    ("REPLAY_WINDOW_S", "-1", "must be more than 0"),
    ("MAX_BODY_MB", "0", "must be more than 0"),
    ("MAX_VECTORS_PER_EMPLOYEE", "0", "must be at least 1"),
    ("MAX_IMAGE_MEGAPIXELS", "many", "must be a number"),
    ("RECEIVE_TIMEOUT_S", "0", "must be more than 0"),
    ("MAX_RECEIVED_MB", "10", "must be at least MAX_BODY_MB"),
    ("MAX_JSON_DEPTH", "2", "must be at least 3"),
    ("IMAGE_FORMATS", "JPEG SVG", "JPEG, PNG, WEBP, AVIF, HEIF, GIF, TIFF, BMP"),
    ("CORS_ORIGINS", "frontend.example", "origins like https://host:port"),
    ("CORS_ORIGINS", "https://*.example", "origins like https://host:port"),
    ("TRUSTED_PROXIES", "-1", "must be at least 0"),
    ("ADDRESS_REQUESTS_PER_MINUTE", "many", "must be a whole number"),
    ("KEY_REQUESTS_PER_MINUTE", "-1", "must be at least 0"),
    ("LOGIN_FAILURES", "1.5", "must be a whole number"),
    ("REDIS_URL", "redis:6379", "redis://host:port"),
    ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("LOG_FORMAT", "xml", "'text' or 'json'"),
]


@pytest.mark.parametrize(("name", "value", "takes"), BAD)
def test_a_bad_value_is_reported_with_the_values_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, takes: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=re.escape(takes)) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert name in line


def test_one_file_of_milvus_is_not_for_several_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("GALLERY_INDEX", "milvus"), ("MILVUS_URI", "x.db"), ("WORKERS", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="set WORKERS to 1"):
        load_settings()


@pytest.mark.parametrize("keys", [" ".join(["A" * 43 + "="] * 2), "plain " + "A" * 43 + "="])
def test_keys_cannot_be_rotated_while_milvus_is_the_index(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("VECTOR_KEYS", keys)
    load_settings()
    monkeypatch.setenv("GALLERY_INDEX", "milvus")
    monkeypatch.setenv("MILVUS_URI", "http://milvus:19530")
    with pytest.raises(SettingsError, match="set GALLERY_INDEX to memory, run flask") as caught:
        load_settings()
    assert "AAAA" not in str(caught.value)
    monkeypatch.setenv("VECTOR_KEYS", keys.split()[-1])
    assert load_settings().gallery_index == "milvus"


def test_unset_variables_have_defaults() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 5005)
    assert settings.login_match_threshold == 0.8
    assert settings.mongo_db_protocol == "mongodb"
    assert settings.mongo_db_url is None
    assert settings.mongo_db_collection == "users"
    assert settings.sqlite_path == ROOT / "data/employees.db"
    assert settings.face_model == "auto"
    assert settings.models_dir == ROOT / "models/weights"
    assert settings.device == "auto"
    assert settings.liveness_service_url is None


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert load_settings() == defaults


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("LOGIN_MATCH_THRESHOLD", "0.55")
    monkeypatch.setenv("LIVENESS_SERVICE_URL", "http://liveness:8080/")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = load_settings()
    assert (settings.port, settings.login_match_threshold) == (8080, 0.55)
    assert settings.liveness_service_url == "http://liveness:8080"
    assert settings.log_level == "debug"


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_DB_PASSWORD", "hunter2")
    settings = load_settings()
    assert settings.mongo_db_password is not None
    assert settings.mongo_db_password.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings}"


def test_a_password_in_the_liveness_url_is_removed_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVENESS_SERVICE_URL", "https://me:hunt%40er2@liveness:8080/v1/")
    settings = load_settings()
    assert settings.liveness_service_url == "https://liveness:8080/v1"
    assert settings.liveness_username == "me"
    assert settings.liveness_password is not None
    assert settings.liveness_password.get_secret_value() == "hunt@er2"
    assert "hunt" not in f"{settings!r} {settings}"


def test_a_liveness_token_and_a_password_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIVENESS_TOKEN", "hunter2")
    assert "hunter2" not in repr(load_settings())
    monkeypatch.setenv("LIVENESS_SERVICE_URL", "https://me:hunter2@liveness")
    with pytest.raises(SettingsError, match="LIVENESS_TOKEN") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_by_default_every_format_that_can_be_decoded_is_accepted() -> None:
    assert Settings.model_fields["image_formats"].default.split() == list(FORMATS)
