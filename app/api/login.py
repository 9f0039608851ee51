"""Login by face."""

import time

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.limits import Limits
from app.api.access import allow, own_address
from app.api.bodies import read_body
from app.api.openapi import describe
from app.api.schemas import EMPLOYEE, FindMatchBody
from app.recognition import NotAnImage, UnusableImage
from app.recognition.film import BadFrame
from app.recognition.limiter import Limiter
from app.usecases import LoginFailed
from app.usecases.identify import Identify

COSTLY_S = 0.5
"""Processor time from which on pictures that are refused count as a failed login: whoever sends
such ones again and again has to wait, and an empty frame of a camera at a door costs nobody."""


def blueprint(identify: Identify, limits: Limits, places: Limiter) -> Blueprint:
    """The endpoint find_match. places: for requests that may wait long."""
    api = Blueprint("login", __name__, url_prefix="/api")

    @api.post("/find_match")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", FindMatchBody, answers=EMPLOYEE, errors=(406, 422))
    def find_match() -> Response:
        who = own_address()
        limits.check_login(who)
        with places:
            body = read_body(FindMatchBody)
            began = time.thread_time()
            try:
                # img_crop is not asked: the face is found and aligned in either case
                employee = identify(body.photo, body.film, body.liveness, body.fraud_detection)
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
