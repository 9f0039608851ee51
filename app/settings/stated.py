"""What the service says of its settings to administrators: no secrets, and nothing of others."""

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from app.settings.rules import Settings

_STDOUT = "stdout"
_LIMITS = {
    *("threads", "max_in_flight", "max_body_mb", "max_received_mb", "receive_timeout_s"),
    *("max_vectors_per_employee", "max_json_depth", "max_image_megapixels", "image_formats"),
    *("address_requests_per_minute", "key_requests_per_minute", "login_failures"),
    *("replay_window_s", "max_fpir", "verification_threshold", "quality"),
}


class Stated(NamedTuple):
    """What may be said.

    limits: those in force, by the settings' names. audit_file: None if it is not a file.
    checks: those of a login that can be asked for.
    """

    workers: int
    index_kind: str
    limits: dict[str, Any]
    audit_file: Path | None
    second_model_until: date | None
    checks: tuple[str, ...]


def stated(settings: Settings) -> Stated:
    """Return what may be said of the settings."""
    audit = settings.audit_log
    return Stated(
        settings.workers,
        settings.gallery_index,
        settings.model_dump(include=_LIMITS),
        Path(audit) if audit and audit != _STDOUT else None,
        settings.second_model_until,
        ("liveness", "fraud") if settings.liveness_service_url else ("fraud",),
    )
