"""Login by face."""

from flask import Blueprint, Response, jsonify

from app.api.middleware import read_body
from app.api.schemas import FindMatchBody
from app.usecases.identify import Identify


def blueprint(identify: Identify) -> Blueprint:
    """The endpoint find_match."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    def find_match() -> Response:
        body = read_body(FindMatchBody)
        employee = identify(
            body.photo, body.img_crop, body.film, body.liveness, body.fraud_detection
        )
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api
