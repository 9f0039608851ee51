"""Is the process alive, and can it answer a login?"""

from flask import Blueprint, Response, jsonify

from app.api.access import public
from app.api.errors import with_cause
from app.api.openapi import describe
from app.api.schemas import STATUS
from app.audit import AuditLog
from app.gallery import IndexUnavailable
from app.storage import StoreUnavailable
from app.usecases.gallery import GalleryLoading
from app.usecases.service import NotReady, Service


def blueprint(service: Service, audit: AuditLog, closed: bool) -> Blueprint:
    """The endpoints healthz and readyz. closed: whether API keys are needed."""
    api = Blueprint("health", __name__)

    @api.get("/healthz")
    @public
    @describe("The process is alive", answers=STATUS, errors=(503,))
    def healthz() -> Response:
        service.check_alive()
        return jsonify(status="alive")

    @api.get("/readyz")
    @public
    @describe("A login can be answered", answers=STATUS, errors=(503,))
    def readyz() -> Response:
        try:
            service.check()
        except (NotReady, GalleryLoading, StoreUnavailable, IndexUnavailable) as error:
            raise with_cause(error) from error
        audit.check()
        return jsonify(
            status="ready",
            model=service.recogniser.model.name,
            device=service.recogniser.device,
            employees=len(service.gallery),
            access="keys" if closed else "open to everyone",
        )

    return api
