"""The endpoint that logs people in by face."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

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
from app.usecases.probes import Probe

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
        limits.check_login(own_address())
        with slots:
            body = read_body(FindMatchBody)
            probe = Probe(
                body.photo, body.frames, body.liveness, body.fraud_detection, groups=scope()
            )
            with counted(limits):
                employee = log_in(probe)
        return jsonify(_id=employee.employee_id, name=employee.name, surname=employee.surname)

    return api


@contextmanager
def counted(limits: RateLimits) -> Iterator[None]:
    """Count what the block does as a login of the caller's address: a failed or a successful one.

    A block that fails for another reason counts as neither.
    """
    address = own_address()
    began = time.thread_time()
    try:
        yield
    except LoginFailed:
        limits.login_failed(address)
        raise
    except (BadFrame, NotAnImage, UnusableImage):
        if time.thread_time() - began > COSTLY_S:
            limits.login_failed(address)
        raise
    limits.login_succeeded(address)
