"""Login by face."""

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.limits import Limits
from app.api.access import address, allow
from app.api.bodies import read_body
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.schemas import EMPLOYEE, FindMatchBody
from app.usecases.identify import Identify, LoginFailed


def blueprint(identify: Identify, limits: Limits) -> Blueprint:
    """The endpoint find_match."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", FindMatchBody, answers=EMPLOYEE, errors=(406, 422))
    def find_match() -> Response:
        limits.check_login(address())
        body = read_body(FindMatchBody)
        if body.fraud_detection:
            # who asks for a check that we cannot make must not be let in without it
            raise Problem(
                503, "no_fraud_detection", "fraud detection is not available, ask without it"
            )
        frames = body.frames if body.liveness else None
        try:
            employee = identify(body.photo, body.img_crop, frames)
        except LoginFailed:
            limits.login_failed(address())
            raise
        limits.login_succeeded(address())
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api
