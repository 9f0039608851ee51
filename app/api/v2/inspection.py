"""The calls that tell an administrator about the service: `audit-entries` and `system`."""

from flask import Blueprint

from app.api.parts import Parts
from app.api.paths import V2
from app.api.v2 import audit_entries, system
from app.audit import AuditLog
from app.lifecycle import Service
from app.metrics import Metrics
from app.settings.stated import Stated


def blueprint(
    service: Service, audit: AuditLog, parts: Parts, metrics: Metrics, stated: Stated
) -> Blueprint:
    """Return the calls."""
    api = Blueprint("inspection", __name__, url_prefix=V2)
    audit_entries.add(api, audit, stated.audit_file)
    system.add(api, service, parts, metrics, stated)
    return api
