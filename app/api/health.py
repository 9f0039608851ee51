"""Health endpoints: is the process alive, and can it answer a login?"""

from flask import Blueprint, Response, jsonify

from app.api.access import Access, public
from app.api.errors import with_cause
from app.api.openapi import describe
from app.api.schemas import STATUS
from app.audit import AuditLog
from app.gallery import GalleryLoading, IndexUnavailable
from app.lifecycle import NotReady, Service
from app.liveness.client import LivenessClient
from app.storage import StoreUnavailable


def blueprint(
    service: Service,
    audit: AuditLog,
    liveness: LivenessClient,
    access: Access,
    keys_required: bool,
) -> Blueprint:
    """Return the endpoints healthz and readyz. keys_required: whether requests need an API key."""
    api = Blueprint("health", __name__)

    @api.get("/healthz")
    @public
    @describe("Report whether the process is alive", answers=STATUS, errors=(503,))
    def healthz() -> Response:
        service.check_alive()
        return jsonify(status="alive")

    @api.get("/readyz")
    @public
    @describe("Report whether the service can answer logins", answers=STATUS, errors=(503,))
    def readyz() -> Response:
        try:
            service.check_ready()
        except (NotReady, GalleryLoading, StoreUnavailable, IndexUnavailable) as error:
            raise with_cause(error) from error
        audit.check()
        status: dict[str, object] = {
            "status": "ready",
            "model": service.recogniser.model.name,
            "device": service.recogniser.device,
            "employees": len(service.gallery),
            "access": "keys" if keys_required else "open to everyone",
        }
        if access.is_admin():
            if measured := service.measurement:
                status["gallery"] = measured.summary()
            # All of these were tried just now, but not the liveness service.
            status["parts"] = {
                **dict.fromkeys(("model", "database", "index", "slots"), "ok"),
                "audit_log": "ok" if audit.is_kept else "off",
                "liveness": liveness.state,
            }
        return jsonify(status)

    return api
