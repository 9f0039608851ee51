"""The calls that tell about the service, and `me` about the caller."""

from flask import Blueprint

from app.api.parts import Parts
from app.api.paths import V2
from app.api.v2 import audit_entries, gallery, me, system
from app.audit import AuditLog
from app.lifecycle import Service
from app.metrics import Metrics
from app.settings.stated import Stated


def blueprint(
    service: Service,
    audit: AuditLog,
    parts: Parts,
    metrics: Metrics,
    stated: Stated,
    keys_required: bool,
) -> Blueprint:
    """Return the calls. keys_required: whether requests need an API key."""
    api = Blueprint("inspection", __name__, url_prefix=V2)
    audit_entries.add(api, audit, stated.audit_file)
    system.add(api, service, parts, metrics, stated)
    gallery.add(api, service)
    me.add(api, keys_required, stated.checks)
    return api
