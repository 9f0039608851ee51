"""Every environment variable the service reads, typed and checked in one place."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.sentences import what_is_wrong


class SettingsError(Exception):
    """The environment holds a value the service cannot run with; the message names the variable."""


class Settings(BaseSettings):
    """The service's settings. Each field is the environment variable of the same name in capitals.

    Empty variables count as unset, because OpenShift templates set what they do not know to "".
    """

    model_config = SettingsConfigDict(
        case_sensitive=False, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("0.0.0.0", description="address to listen on")
    port: int = Field(5005, ge=1, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=256, description="processes that answer requests")
    threads: int = Field(32, ge=1, le=1024, description="connections a worker answers at once")
    max_in_flight: int = Field(
        4,
        ge=1,
        le=1024,
        description="photos a worker looks at at once; four times as many may wait",
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
    sqlite_path: Path = Field(
        Path("data/employees.db"), description="the SQLite file, when `MONGO_DB_URL` is unset"
    )

    face_model: Literal["auto", "vggface2", "dlib", "facenet"] = Field(
        "auto",
        description="`auto`: what the stored vectors carry, else `vggface2`, else `dlib`; "
        "`facenet`: the network of `FACENET_WEIGHTS`",
    )
    facenet_weights: Path | None = Field(
        None, description="an InceptionResnetV1 state dict of your own"
    )
    facenet_weights_sha256: str | None = Field(
        None, description="the SHA-256 of `FACENET_WEIGHTS`, 64 hexadecimal digits"
    )
    models_dir: Path = Field(
        Path("models/weights"), description="where downloaded and converted weights are kept"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="what runs the networks")

    login_match_threshold: float = Field(
        0.8, ge=0, le=1, description="α: a probe matches when its distance is below it"
    )
    liveness_service_url: str | None = Field(
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

    max_body_mb: float = Field(64, gt=0, le=1024, description="largest request body, in MB")
    max_image_megapixels: float = Field(
        50, gt=0, le=1000, description="largest picture that is decoded, in megapixels"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")

    @field_validator("log_level", "log_format", "device", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _no_secrets_in_addresses(cls, values: dict[str, object]) -> dict[str, object]:
        """Take user and password out of LIVENESS_SERVICE_URL: nothing shows them then."""
        address = values.get("liveness_service_url")
        held = (
            re.fullmatch(r"(https?://)([^/?#]*)@(.*)", address)
            if isinstance(address, str)
            else None
        )
        if not held:
            return values
        username, _, password = held[2].partition(":")
        return {
            "liveness_username": unquote(username),
            "liveness_password": unquote(password),
            **values,
            "liveness_service_url": held[1] + held[3],
        }

    @field_validator("liveness_service_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://.+", value):
            raise ValueError("must look like http://host:port")
        return value.rstrip("/") if value else value

    @field_validator("facenet_weights_sha256")
    @classmethod
    def _hash(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise ValueError("must be 64 hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> "Settings":
        if (self.liveness_username is None) != (self.liveness_password is None):
            raise ValueError("set LIVENESS_USERNAME and LIVENESS_PASSWORD together")
        if self.liveness_token and self.liveness_username:
            raise ValueError("set either LIVENESS_TOKEN or LIVENESS_USERNAME, not both")
        return self

    @model_validator(mode="after")
    def _weights_belong_together(self) -> "Settings":
        if (self.facenet_weights is None) != (self.facenet_weights_sha256 is None):
            raise ValueError("FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 must be set together")
        return self


def load_settings() -> Settings:
    """The settings of this environment. Raises SettingsError, naming every bad variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            name = ".".join(str(part) for part in problem["loc"]).upper()
            what = what_is_wrong(problem)
            may_hold_secrets = any(word in name for word in ("PASSWORD", "TOKEN", "URL"))
            given = "" if may_hold_secrets or not name else f", not {problem['input']!r}"
            lines.append(f"{name}: {what}{given}" if name else what)
        raise SettingsError("\n".join(lines)) from None
