"""Is the process alive, and can it answer a login?"""

from flask import Blueprint, Response, jsonify

from app.usecases.service import Service


def blueprint(service: Service) -> Blueprint:
    """The endpoints healthz and readyz."""
    api = Blueprint("health", __name__)

    @api.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @api.get("/readyz")
    def readyz() -> Response:
        service.check()
        return jsonify(
            status="ready",
            model=service.recogniser.model.name,
            device=service.recogniser.device,
            employees=len(service.gallery),
        )

    return api
