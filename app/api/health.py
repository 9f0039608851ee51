"""Health endpoints: is the process alive, and can it answer a login?"""

from flask import Blueprint, Response, jsonify

from app.api.access import Access, public
from app.api.errors import not_ready
from app.api.openapi import describe
from app.api.parts import UNREADY, Parts
from app.api.schemas import STATUS
from app.lifecycle import Service


def blueprint(service: Service, parts: Parts, access: Access, keys_required: bool) -> Blueprint:
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
            parts.check()
        except UNREADY as error:
            members = {"parts": parts.listed()} if access.is_admin() else {}
            raise not_ready(error, members) from error
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
            status["parts"] = parts.listed()
        return jsonify(status)

    return api
