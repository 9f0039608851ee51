"""The endpoint that logs people in by face."""

import time

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.rate_limits import RateLimits
from app.api.access import allow, own_address, scope
from app.api.bodies import read_body
from app.api.openapi import describe
from app.api.schemas import EMPLOYEE, FindMatchBody
from app.limiter import Limiter
from app.recognition import NotAnImage, UnusableImage
from app.recognition.frame_sequence import BadFrame
from app.usecases import LoginFailed
from app.usecases.login import Login

COSTLY_S = 0.5
"""A refused picture counts as a failed login if processing it took more CPU time than this.
A client that keeps sending expensive pictures has to wait; empty frames from a door's camera are
cheap and do not count."""


def blueprint(log_in: Login, limits: RateLimits, slots: Limiter) -> Blueprint:
    """Return the endpoint find_match. slots: a login holds one until it is answered."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", FindMatchBody, answers=EMPLOYEE, errors=(406, 422))
    def find_match() -> Response:
        address = own_address()
        limits.check_login(address)
        with slots:
            body = read_body(FindMatchBody)
            began = time.thread_time()
            try:
                employee = log_in(
                    body.photo, body.frames, body.liveness, body.fraud_detection, scope()
                )
            except LoginFailed:
                limits.login_failed(address)
                raise
            except (BadFrame, NotAnImage, UnusableImage):
                if time.thread_time() - began > COSTLY_S:
                    limits.login_failed(address)
                raise
        limits.login_succeeded(address)
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api
