"""Every environment variable the service reads, typed and checked in one place."""

import os
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import spelling
from app.sentences import what_is_wrong
from app.values import (
    ROOT,
    AbsolutePath,
    AuditDestination,
    MilvusAddress,
    Origins,
    RedisAddress,
    Sha256,
    WebAddress,
    is_file,
    without_secrets,
)

# If one of them is misspelt, the service must not run without it.
SECURITY = frozenset(
    {"mongo_db_protocol", "mongo_db_url", "mongo_db_username", "mongo_db_password"}
    | {"mongo_db_collection", "sqlite_path", "vector_keys", "api_keys", "api_keys_file"}
    | {"liveness_service_url", "liveness_token", "liveness_username", "liveness_password"}
    | {"login_match_threshold", "audit_log", "trusted_proxies", "cors_origins"}
)
_EXACT = {"mongo_db_password", "milvus_token", "liveness_token", "liveness_password"}
_SEVERAL = {"vector_keys", "api_keys", "cors_origins", "image_formats"}


class SettingsError(Exception):
    """The environment holds a value the service cannot run with; the message names the variable."""


class Settings(BaseSettings):
    """The service's settings. Each field is the environment variable of the same name in capitals.

    White space around a value does not count. Empty variables count as unset, because OpenShift
    templates set what they do not know to "".
    """

    model_config = SettingsConfigDict(
        case_sensitive=False, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("0.0.0.0", description="address to listen on")
    port: int = Field(5005, ge=1, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=256, description="processes that answer requests")
    threads: int = Field(
        32,
        ge=2,
        le=1024,
        description="requests a worker answers at once; logins and enrolments take at most 7/8",
    )
    max_in_flight: int = Field(
        4,
        ge=1,
        le=1024,
        description="photos a worker looks at at once; others wait, for 2 s at most",
    )

    mongo_db_protocol: Literal["mongodb", "mongodb+srv"] = Field(
        "mongodb", description="scheme of the MongoDB connection string"
    )
    mongo_db_url: str | None = Field(
        None, description="`host:port/database`; unset: employees live in the SQLite file"
    )
    mongo_db_username: str | None = Field(None, description="MongoDB user")
    mongo_db_password: SecretStr | None = Field(None, description="MongoDB password")
    mongo_db_collection: str = Field("users", min_length=1, description="collection of employees")
    mongo_db_timeout_s: float = Field(
        2.0, gt=0, le=60, description="how long one MongoDB operation may take, in seconds"
    )
    mongo_db_read_from_secondary: bool = Field(
        False, description="log people in from a secondary while no primary is reachable"
    )
    sqlite_path: AbsolutePath = Field(
        ROOT / "data/employees.db", description="the SQLite file, when `MONGO_DB_URL` is unset"
    )

    vector_keys: SecretStr | None = Field(
        None, description="32-byte keys in base64: the first encrypts stored vectors"
    )

    gallery_index: Literal["memory", "milvus"] = Field(
        "memory",
        description="what searches the gallery: the memory of each process, or Milvus for all",
    )
    milvus_uri: MilvusAddress | None = Field(
        None,
        description="`http://host:port` of Milvus, or a file `….db` that one process may use",
    )
    milvus_token: SecretStr | None = Field(None, description="`user:password` or an API key")
    milvus_collection: str = Field(
        "employees",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$",
        description="how the collection of each model begins: `<this>_<model>`",
    )
    milvus_timeout_s: float = Field(
        2.0, gt=0, le=60, description="how long one Milvus operation may take, in seconds"
    )

    face_model: Literal["auto", "vggface2", "dlib", "facenet"] = Field(
        "auto",
        description="`auto`: what the stored vectors carry, else `vggface2`, else `dlib`; "
        "`facenet`: the network of `FACENET_WEIGHTS`",
    )
    facenet_weights: AbsolutePath | None = Field(
        None, description="an InceptionResnetV1 state dict of your own"
    )
    facenet_weights_sha256: Sha256 | None = Field(
        None, description="the SHA-256 of `FACENET_WEIGHTS`, 64 hexadecimal digits"
    )
    models_dir: AbsolutePath = Field(
        ROOT / "models/weights", description="where downloaded and converted weights are kept"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="what runs the networks")

    login_match_threshold: float = Field(
        0.8, ge=0, le=1, description="α: a probe matches when its distance is below it"
    )
    liveness_service_url: WebAddress | None = Field(
        None, description="the liveness service, `http://host:port`"
    )
    liveness_timeout_s: float = Field(
        5.0,
        gt=0,
        le=120,
        description="how long a verdict may take, all attempts together, in seconds",
    )
    liveness_connect_timeout_s: float = Field(
        1.0, gt=0, le=120, description="how long connecting to the liveness service may take"
    )
    liveness_read_timeout_s: float = Field(
        4.0, gt=0, le=120, description="how long the liveness service may be silent, in seconds"
    )
    liveness_retries: int = Field(
        2, ge=0, le=10, description="how often it is asked again where it decided nothing"
    )
    liveness_token: SecretStr | None = Field(None, description="its bearer token")
    liveness_username: str | None = Field(None, description="its user, for basic authentication")
    liveness_password: SecretStr | None = Field(None, description="its password")
    replay_window_s: float = Field(
        86_400,
        gt=0,
        le=31_536_000,
        description="how long fraud detection remembers the photo of a login, in seconds",
    )

    api_keys: SecretStr | None = Field(
        None, description="who may call: `id:role,role:sha256`, separated by white space"
    )
    api_keys_file: AbsolutePath | None = Field(
        None, description="a file of such entries, read again when it changes"
    )
    cors_origins: Origins | None = Field(
        None, description="origins whose pages may call, separated by white space"
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="proxies in front that append to X-Forwarded-For"
    )
    address_requests_per_minute: int = Field(
        6000, ge=0, description="requests an address may make in a minute; 0: no limit"
    )
    key_requests_per_minute: int = Field(
        6000, ge=0, description="requests a key may make in a minute; 0: no limit"
    )
    login_failures: int = Field(
        10, ge=0, description="failed logins in a row before an address has to wait; 0: no limit"
    )
    redis_url: RedisAddress | None = Field(
        None, description="`redis://host:port`, where pods share the counts of these limits"
    )
    audit_log: AuditDestination | None = Field(None, description="a file, or `stdout`")

    max_body_mb: float = Field(64, gt=0, le=1024, description="largest request body, in MB")
    max_received_mb: float = Field(
        default_factory=lambda values: max(96.0, values["max_body_mb"]),
        gt=0,
        le=65536,
        description="all bodies that a worker holds at once, in MB",
    )
    receive_timeout_s: float = Field(
        30.0, gt=0, le=600, description="how long a request may take to come in, in seconds"
    )
    max_vectors_per_employee: int = Field(
        100, ge=1, le=10_000, description="pictures or feature vectors that make one employee"
    )
    max_json_depth: int = Field(
        8, ge=3, le=100, description="levels of lists and objects in a request body"
    )
    max_image_megapixels: float = Field(
        51, gt=0, le=1000, description="largest picture that is decoded, in megapixels"
    )
    image_formats: str = Field(
        "JPEG PNG WEBP AVIF HEIF GIF TIFF BMP", description="picture formats that are taken"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")

    @field_validator("log_level", "log_format", "device", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _clean(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            exact, several = info.field_name in _EXACT, info.field_name in _SEVERAL
            if fault := spelling.fault(value, exact=exact, several=several):
                raise ValueError(fault)
        return value

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, values: dict[str, object]) -> dict[str, object]:
        meant = {
            name: spelling.stripped(value, exact=name in _EXACT)
            if isinstance(value, str)
            else value
            for name, value in values.items()
        }
        given = {name: value for name, value in meant.items() if value != ""}
        return without_secrets(given)

    @field_validator("image_formats")
    @classmethod
    def _known_formats(cls, value: str) -> str:
        known = cls.model_fields["image_formats"].default.split()
        formats = value.upper().split()
        if not formats or not set(formats) <= set(known):
            raise ValueError(f"must be some of {', '.join(known)}, separated by white space")
        return " ".join(formats)

    @model_validator(mode="after")
    def _keys_in_one_place(self) -> "Settings":
        if self.api_keys and self.api_keys_file:
            raise ValueError("API_KEYS and API_KEYS_FILE must not both be set")
        return self

    @model_validator(mode="after")
    def _milvus_can_be_reached(self) -> "Settings":
        if self.gallery_index == "milvus" and not self.milvus_uri:
            raise ValueError("set MILVUS_URI, because GALLERY_INDEX is milvus")
        if self.gallery_index == "milvus" and self.workers > 1 and is_file(self.milvus_uri):
            raise ValueError(
                "set WORKERS to 1, or MILVUS_URI to the address of a server: one process alone can "
                "use a file"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> "Settings":
        if (self.liveness_username is None) != (self.liveness_password is None):
            raise ValueError("set LIVENESS_USERNAME and LIVENESS_PASSWORD together")
        if self.liveness_token and self.liveness_username:
            raise ValueError("set either LIVENESS_TOKEN or LIVENESS_USERNAME, not both")
        return self

    @model_validator(mode="after")
    def _a_body_fits(self) -> "Settings":
        if self.max_received_mb < self.max_body_mb:
            raise ValueError("MAX_RECEIVED_MB must be at least MAX_BODY_MB")
        return self

    @model_validator(mode="after")
    def _weights_belong_together(self) -> "Settings":
        if (self.facenet_weights is None) != (self.facenet_weights_sha256 is None):
            raise ValueError("FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 must be set together")
        return self


def load_settings() -> Settings:
    """The settings of this environment.

    Raises SettingsError, naming every bad variable, and what security hangs on if it is misspelt.
    """
    lines = [sentence for sentence, stops in _misspelt() if stops]
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            if problem["type"] == "default_factory_not_called":  # another one is bad
                continue
            name = ".".join(str(part) for part in problem["loc"]).upper()
            what = what_is_wrong(problem)
            may_hold_secrets = re.search("PASSWORD|TOKEN|KEYS|URL|URI", name)
            given = "" if may_hold_secrets or not name else f", not {problem['input']!r}"
            lines.append(f"{name}: {what}{given}" if name else what)
    if lines:
        raise SettingsError("\n".join(lines)) from None
    return settings


def doubtful() -> list[str]:
    """A sentence for each variable that is like a setting, but is none, and stops nothing."""
    return [sentence for sentence, stops in _misspelt() if not stops]


def _misspelt() -> Iterator[tuple[str, bool]]:
    """What is nearly called like a setting, without its value, and whether it stops the start."""
    known = [name.upper() for name in Settings.model_fields]
    filled = {name: name.upper() for name, value in os.environ.items() if value.strip()}
    for name in filled:
        if meant := spelling.nearest(name, known):
            shown = name if name.isprintable() else ascii(name)
            stops = meant.lower() in SECURITY and meant not in filled.values()
            yield f"{shown} is no setting: if {meant} is meant, rename it; else unset it", stops
