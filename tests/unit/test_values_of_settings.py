"""Values from files and secrets come with line ends, blanks, byte-order marks and quotes."""

from pathlib import Path

import pytest

from app.access import Role
from app.access.api_keys import KeyRing, new_key
from app.settings import Settings, SettingsError, load_settings
from app.storage.sealing import VectorKeys
from testbed.serving import ROOT

ENDS = ["\r", "\n", "\r\n", " ", "\t", "\n\n", "\xa0", "\ufeff"]
VALUES = {
    "HOST": "127.0.0.1",
    "PORT": "8080",
    "MONGO_DB_PROTOCOL": "mongodb+srv",
    "MONGO_DB_URL": "db.example/people",
    "MONGO_DB_USERNAME": "service",
    "MONGO_DB_COLLECTION": "people",
    "MONGO_DB_READ_FROM_SECONDARY": "true",
    "SQLITE_PATH": "/data/people.db",
    "API_KEYS_FILE": "/secrets/keys",
    "MODELS_DIR": "/models",
    "AUDIT_LOG": "stdout",
    "LOGIN_MATCH_THRESHOLD": "0.7",
    "LIVENESS_SERVICE_URL": "http://liveness:8080",
    "REDIS_URL": "redis://redis:6379",
    "MILVUS_URI": "http://milvus:19530",
    "FACE_MODEL": "dlib",
    "LOG_LEVEL": "debug",
}
SECRETS = ["MONGO_DB_PASSWORD", "MILVUS_TOKEN", "LIVENESS_TOKEN"]


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        return load_settings()


@pytest.mark.parametrize("end", ENDS)
def test_white_space_around_a_value_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    meant, defaults = loaded(monkeypatch, **VALUES), load_settings()
    for name in VALUES:
        assert getattr(meant, name.lower()) != getattr(defaults, name.lower()), name
    after = {name: value + end for name, value in VALUES.items()}
    around = {name: f"{end} {value}{end}" for name, value in VALUES.items()}
    for padded in (after, around):
        assert loaded(monkeypatch, **padded).model_dump() == meant.model_dump()


@pytest.mark.parametrize("name", SECRETS)
def test_only_line_ends_are_removed_from_a_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for kept in ("hunter2", " hunter2 ", '"hunter2"'):
        settings = loaded(monkeypatch, **{name: kept + "\r\n"})
        assert getattr(settings, name.lower()).get_secret_value() == kept


@pytest.mark.parametrize("blank", [" ", "\n", "\r\n", " \t ", "\ufeff"])
def test_a_value_of_white_space_alone_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    names = [name.upper() for name in Settings.model_fields]
    assert loaded(monkeypatch, **dict.fromkeys(names, blank)) == load_settings()


@pytest.mark.parametrize("name", [*VALUES, *SECRETS, "IMAGE_FORMATS", "API_KEYS", "CORS_ORIGINS"])
@pytest.mark.parametrize("inner", ["\x1b[0m", "\x07", "\x7f"])
def test_control_characters_in_a_value_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, inner: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, **{name: f"hunter{inner}2"})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: must not contain line breaks or other control characters")
    assert line.isprintable()
    assert name not in SECRETS or "hunter" not in line


@pytest.mark.parametrize("name", [*VALUES, *SECRETS])
@pytest.mark.parametrize("inner", ["\n", "\r\n", "\u2028", "\x85"])
def test_a_line_break_in_a_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, inner: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: must not contain line breaks"):
        loaded(monkeypatch, **{name: f"a{inner}b"})


@pytest.mark.parametrize("name", VALUES)
def test_quotation_marks_around_a_value_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for quoted in ('"{}"', "'{}'", "“{}”", '"{}"\r\n'):
        with pytest.raises(SettingsError, match=f"^{name}: must not be in quotation marks"):
            loaded(monkeypatch, **{name: quoted.format(VALUES[name])})
    with pytest.raises(SettingsError, match=f"^{name}: must not be in quotation marks"):
        loaded(monkeypatch, **{name: '""'})


def test_a_value_that_is_not_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="SQLITE_PATH: must be UTF-8 text") as caught:
        loaded(monkeypatch, SQLITE_PATH=b"/data/caf\xe9.db".decode(errors="surrogateescape"))
    assert str(caught.value).isascii()


def test_letters_of_any_script_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/data/کارمند\u200cها/社員.db"
    assert loaded(monkeypatch, SQLITE_PATH=path).sqlite_path == Path(path)


def test_entries_may_be_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, lines = zip(*(new_key([Role.LOGIN]) for _ in range(2)), strict=True)
    separated = "\r\n" + "\r\n".join(lines) + "\n"
    settings = loaded(monkeypatch, API_KEYS=separated)
    assert settings.api_keys is not None
    ring = KeyRing(settings.api_keys.get_secret_value())
    assert all(map(ring.find, keys))
    settings = loaded(monkeypatch, CORS_ORIGINS="https://a.example\r\nhttps://b.example\n")
    assert (settings.cors_origins or "").split() == ["https://a.example", "https://b.example"]
    assert loaded(monkeypatch, IMAGE_FORMATS="\tjpeg\r\npng").image_formats == "JPEG PNG"
    settings = loaded(monkeypatch, VECTOR_KEYS="\nplain\r\nplain\n")
    assert settings.vector_keys is not None
    assert VectorKeys(settings.vector_keys.get_secret_value()).first == "plain"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_key_file_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    key, line = new_key([Role.ADMIN])
    another, added = new_key([Role.LOGIN])
    path = tmp_path / "keys"
    path.write_text(f"{line}\r\n", encoding)
    ring = KeyRing(path=path)
    assert ring.find(key)
    path.write_text(f"{line}\r\n{added}\r\n", encoding)
    assert ring.find(another)


@pytest.mark.parametrize("value", ["stdout", "STDOUT", "Stdout\r"])
def test_stdout_is_not_taken_for_a_file(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert loaded(monkeypatch, AUDIT_LOG=value).audit_log == "stdout"


def test_relative_paths_start_in_the_folder_of_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().sqlite_path == ROOT / "data/employees.db"
    settings = loaded(
        monkeypatch,
        SQLITE_PATH="people.db",
        API_KEYS_FILE="secrets/keys",
        MODELS_DIR="weights",
        AUDIT_LOG="logs/audit.log",
        FACENET_WEIGHTS="own.pt",
        FACENET_WEIGHTS_SHA256="0" * 64,
        ONNX_MODEL="own.json",
        MILVUS_URI="gallery.db",
    )
    assert settings.sqlite_path == ROOT / "people.db"
    assert settings.api_keys_file == ROOT / "secrets/keys"
    assert settings.models_dir == ROOT / "weights"
    assert settings.audit_log == str(ROOT / "logs/audit.log")
    assert settings.facenet_weights == ROOT / "own.pt"
    assert settings.onnx_model == ROOT / "own.json"
    assert settings.milvus_uri == str(ROOT / "gallery.db")
