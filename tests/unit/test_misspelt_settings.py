"""A misspelt setting is reported with the name it resembles; other variables are ignored."""

import re

import pytest

from app.settings import SECURITY, Settings, SettingsError, doubtful, load_settings
from app.settings.spelling import nearest

KNOWN = [name.upper() for name in Settings.model_fields]

MEANT = {
    # missing, added or swapped letters
    "LOGIN_MATCH_TRESHOLD": "LOGIN_MATCH_THRESHOLD",
    "LIVENES_SERVICE_URL": "LIVENESS_SERVICE_URL",
    "SQLLITE_PATH": "SQLITE_PATH",
    "SQLITE_PAHT": "SQLITE_PATH",
    "VEKTOR_KEYS": "VECTOR_KEYS",
    "MONOG_DB_URL": "MONGO_DB_URL",
    "MONGO_DB_PROTOKOL": "MONGO_DB_PROTOCOL",
    "QUALTY": "QUALITY",
    "HSOT": "HOST",
    "DEIVCE": "DEVICE",
    # separators
    "AUDITLOG": "AUDIT_LOG",
    "MAXIMAGEMEGAPIXELS": "MAX_IMAGE_MEGAPIXELS",
    "MONGODB_PROTOCOL": "MONGO_DB_PROTOCOL",
    "API-KEYS": "API_KEYS",
    "cors.origins": "CORS_ORIGINS",
    "__API_KEYS": "API_KEYS",
    "API_KEYS ": "API_KEYS",
    "\ufeffAPI_KEYS": "API_KEYS",
    # singular for plural, plural for singular
    "API_KEY": "API_KEYS",
    "VECTOR_KEY": "VECTOR_KEYS",
    "AUDIT_LOGS": "AUDIT_LOG",
    "TRUSTED_PROXY": "TRUSTED_PROXIES",
    "CORS_ORIGIN": "CORS_ORIGINS",
    "WORKER": "WORKERS",
    # missing, moved or added words, and synonyms
    "MONGO_URL": "MONGO_DB_URL",
    "MONGOURL": "MONGO_DB_URL",
    "LOGIN_TRESHOLD": "LOGIN_MATCH_THRESHOLD",
    "MATCH_THRESHOLD": "LOGIN_MATCH_THRESHOLD",
    "LIVENESS_URL": "LIVENESS_SERVICE_URL",
    "MONGO_TIMEOUT": "MONGO_DB_TIMEOUT_S",
    "KEYS_API": "API_KEYS",
    "LOG_AUDIT": "AUDIT_LOG",
    "URL_MONGO_DB": "MONGO_DB_URL",
    "AUDIT_LOG_FILE": "AUDIT_LOG",
    "AUDIT_LOGFILE": "AUDIT_LOG",
    "SQLITE_FILE": "SQLITE_PATH",
    "VECTOR_ENCRYPTION_KEY": "VECTOR_KEYS",
    "CORS_ALLOWED_ORIGINS": "CORS_ORIGINS",
    "TRUSTED_PROXY_COUNT": "TRUSTED_PROXIES",
    "VECTOR_KEYS_FILE": "VECTOR_KEYS",
    "MONGO_DB_PASSWORD_FILE": "MONGO_DB_PASSWORD",
    "MONGODB_URI": "MONGO_DB_URL",
    "MONGO_DB_USER": "MONGO_DB_USERNAME",
    "MONGODB_USER": "MONGO_DB_USERNAME",
    "MONGO_PWD": "MONGO_DB_PASSWORD",
    "MILVUS_URL": "MILVUS_URI",
    "REDIS_URI": "REDIS_URL",
    "APIKEYFILE": "API_KEYS_FILE",
}

# Services of the cluster, for which Kubernetes, OpenShift and Docker links set variables.
SERVICES = [
    *("MONGO", "MONGO_DB", "MONGO_DB_URL", "REDIS", "REDIS_URL", "LIVENESS", "LIVENESS_SERVICE"),
    *("AUDIT_LOG", "API_KEYS", "IMAGE_REGISTRATION"),
]
INJECTED = [
    service + end
    for service in SERVICES
    for end in (
        *("_SERVICE_HOST", "_SERVICE_PORT", "_SERVICE_PORT_HTTP", "_SERVICE_PORT_URL", "_PORT"),
        *("_PORT_27017_TCP", "_PORT_53_UDP_ADDR", "_PORT_80_TCP_PORT", "_PORT_80_TCP_PROTO"),
        "_ENV_MONGO_DB_URL",
    )
]
OTHERS = [
    *("USERNAME", "PASSWORD", "TOKEN", "EDITOR", "DISPLAY", "MACHTYPE", "REDIS_CACHE_URL"),
    *("HOSTNAME", "HOST_IP", "HOSTTYPE", "LANG", "LOGNAME", "PATH", "PWD", "OLDPWD", "HOME"),
    *("USER", "SHELL", "TERM", "MAIL", "TZ", "_", "PORTAGE_CONFIGROOT", "PORT0", "PORT1", "PORTS"),
    *("POST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_PORT_443_TCP_ADDR", "PYTHON_VERSION"),
    *("PYTHON_SHA256", "PYTHONPATH", "VIRTUAL_ENV", "GPG_KEY", "FLASK_APP", "WEB_CONCURRENCY"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MALLOC_ARENA_MAX", "HTTP_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "APP_KEY"),
    *("SECRET_KEY", "FRONTEND_API_KEY", "KEY_FILE", "DATABASE_URL", "DB_URL", "DB_PASSWORD"),
    *("DB_USERNAME", "POSTGRES_URL", "SERVICE_URL", "REDIS_HOST", "MONGO_INITDB_ROOT_USERNAME"),
    *("MONGO_VERSION", "REDIS_VERSION", "REDIS_DOWNLOAD_URL", "OPENSHIFT_BUILD_NAME"),
    *("STI_SCRIPTS_URL", "POD_IP", "NODE_NAME", "LOG_FILE", "MODEL_NAME", "IMAGE_NAME"),
    *("REQUEST_TIMEOUT", "READ_TIMEOUT", "KEYS_FILE", "LIVENESS", "K8_IMAGE_REGISTRATION_SERVICE"),
]


@pytest.mark.parametrize(("name", "meant"), MEANT.items())
def test_a_misspelt_name_finds_the_setting_it_means(name: str, meant: str) -> None:
    assert nearest(name, KNOWN) == meant


@pytest.mark.parametrize("name", [*INJECTED, *OTHERS, *KNOWN, *map(str.lower, KNOWN)])
def test_other_variables_and_correct_names_resemble_no_setting(name: str) -> None:
    assert nearest(name, KNOWN) is None


@pytest.mark.parametrize("name", KNOWN)
def test_every_setting_is_found_from_typical_typing_errors(name: str) -> None:
    middle = len(name) // 2
    for typed in (name.replace("_", ""), name + "_", name[:middle] + name[middle:].lower() + "-"):
        assert typed.upper() in KNOWN or nearest(typed, KNOWN) == name
    if len(name) > 5:
        assert nearest(name[:2] + name[3] + name[2] + name[4:], KNOWN) in (name, None)
        assert nearest(name[:3] + name[4:], KNOWN) == name


def test_settings_marked_as_security_exist() -> None:
    assert set(Settings.model_fields) >= SECURITY


@pytest.mark.parametrize(
    "name", [name for name, meant in MEANT.items() if meant.lower() in SECURITY]
)
def test_a_misspelt_security_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert name.strip("\ufeff") in line
    assert line.isprintable()
    assert re.search(rf"\b{MEANT[name]}\b", line)
    assert "hunter2" not in line
    assert doubtful() == []


def test_another_misspelt_setting_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXIMAGEMEGAPIXELS", "99")
    assert load_settings().max_image_megapixels != 99
    (sentence,) = doubtful()
    assert sentence.startswith(
        "MAXIMAGEMEGAPIXELS is not a setting: did you mean MAX_IMAGE_MEGAPIXELS?"
    )
    assert "99" not in sentence


def test_a_misspelt_name_is_a_warning_if_the_right_one_is_set_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variable may belong to another program."""
    monkeypatch.setenv("LOGIN_TRESHOLD", "0.7")
    monkeypatch.setenv("login_match_threshold", "0.6")
    assert load_settings().login_match_threshold == 0.6
    assert [sentence.split()[0] for sentence in doubtful()] == ["LOGIN_TRESHOLD"]


@pytest.mark.parametrize("value", ["", " ", "\r\n"])
def test_an_empty_misspelt_variable_is_ignored(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("API_KEY", value)
    load_settings()
    assert doubtful() == []
