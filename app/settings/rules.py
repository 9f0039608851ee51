"""Settings: the fields, with the rules that their values must meet."""

from typing import Self

from pydantic import ValidationInfo, field_validator, model_validator

from app.settings import values
from app.settings.fields import EXACT, SEVERAL, Fields


class Settings(Fields):
    """The service's settings.

    White space around a value is ignored. An empty variable counts as unset, because manifests may
    leave some empty.
    """

    @property
    def listings(self) -> int:
        """Listings that a worker answers at once, on threads in addition to THREADS."""
        return max(1, self.threads // 4)

    @property
    def milvus_is_a_file(self) -> bool:
        """Whether MILVUS_URI is a file, which milvus-lite opens inside the process."""
        return values.is_file(self.milvus_uri)

    @field_validator(
        "log_level", "log_format", "device", "login_match_threshold", "quality", mode="before"
    )
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _is_clean(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            exact, several = info.field_name in EXACT, info.field_name in SEVERAL
            if fault := values.fault(value, exact=exact, several=several):
                raise ValueError(fault)
        return value

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: dict[str, object]) -> dict[str, object]:
        stripped = {
            name: values.stripped(value, exact=name in EXACT) if isinstance(value, str) else value
            for name, value in given.items()
        }
        return values.without_credentials(
            {name: value for name, value in stripped.items() if value != ""}
        )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.api_keys and self.api_keys_file:
            raise ValueError("API_KEYS and API_KEYS_FILE must not both be set")
        if self.gallery_index == "milvus":
            self._check_milvus()
        if (self.liveness_username is None) != (self.liveness_password is None):
            raise ValueError("set LIVENESS_USERNAME and LIVENESS_PASSWORD together")
        if self.liveness_token and self.liveness_username:
            raise ValueError("set either LIVENESS_TOKEN or LIVENESS_USERNAME, not both")
        if self.max_received_mb < self.max_body_mb:
            raise ValueError("MAX_RECEIVED_MB must be at least MAX_BODY_MB")
        if self.second_face_model is None and self.second_model_until:
            raise ValueError("SECOND_MODEL_UNTIL is set: set SECOND_FACE_MODEL, too")
        if (self.facenet_weights is None) != (self.facenet_weights_sha256 is None):
            raise ValueError("FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 must be set together")
        return self

    def _check_milvus(self) -> None:
        if not self.milvus_uri:
            raise ValueError("set MILVUS_URI, because GALLERY_INDEX is milvus")
        if self.workers > 1 and self.milvus_is_a_file:
            raise ValueError(
                "set WORKERS to 1, or MILVUS_URI to the address of a server: only one process can "
                "use a file"
            )
        if self.vector_keys and len(self.vector_keys.get_secret_value().split()) > 1:
            raise ValueError(
                "VECTOR_KEYS holds several keys and GALLERY_INDEX is milvus: set GALLERY_INDEX to "
                "memory, run flask --app entry vectors rotate, then keep one key"
            )
