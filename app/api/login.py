"""Login by face."""

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.limits import Limits
from app.api.access import address, allow
from app.api.bodies import read_body
from app.api.openapi import describe
from app.api.schemas import EMPLOYEE, FindMatchBody
from app.recognition.limiter import Limiter
from app.usecases import LoginFailed
from app.usecases.identify import Identify


def blueprint(identify: Identify, limits: Limits, places: Limiter) -> Blueprint:
    """The endpoint find_match. places: for requests that may wait long."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", FindMatchBody, answers=EMPLOYEE, errors=(406, 422))
    def find_match() -> Response:
        limits.check_login(address())
        with places:
            body = read_body(FindMatchBody)
            try:
                # img_crop is not asked: the face is found and aligned in either case
                employee = identify(
                    body.photo, body.film, body.liveness, body.fraud_detection
                )
            except LoginFailed:
                limits.login_failed(address())
                raise
        limits.login_succeeded(address())
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api
