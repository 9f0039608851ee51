"""Login by face."""

import time

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.rate_limits import RateLimits
from app.api.access import allow, own_address
from app.api.bodies import read_body
from app.api.openapi import describe
from app.api.schemas import EMPLOYEE, FindMatchBody
from app.limiter import Limiter
from app.recognition import NotAnImage, UnusableImage
from app.recognition.frame_sequence import BadFrame
from app.usecases import LoginFailed
from app.usecases.login import Login

COSTLY_S = 0.5
"""A refused picture counts as a failed login if decoding it took more processor time than this.
Somebody who keeps sending costly pictures has to wait; an empty frame from a camera at a door costs
nothing."""


def blueprint(log_in: Login, limits: RateLimits, slots: Limiter) -> Blueprint:
    """Return the endpoint find_match. slots: taken by requests that may wait long."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", FindMatchBody, answers=EMPLOYEE, errors=(406, 422))
    def find_match() -> Response:
        who = own_address()
        limits.check_login(who)
        with slots:
            body = read_body(FindMatchBody)
            began = time.thread_time()
            try:
                employee = log_in(
                    body.photo, body.encoded_frames, body.liveness, body.fraud_detection
                )
            except LoginFailed:
                limits.login_failed(who)
                raise
            except (BadFrame, NotAnImage, UnusableImage):
                if time.thread_time() - began > COSTLY_S:
                    limits.login_failed(who)
                raise
        limits.login_succeeded(who)
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api
