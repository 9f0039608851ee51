"""The call `liveness-sessions`: what must a person do, to be let in?"""

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.access.rate_limits import RateLimits
from app.api.access import allow, key_id, own_address
from app.api.openapi import describe
from app.api.v2.answer_schemas import LIVENESS_SESSION
from app.api.v2.answers import time_json
from app.lifecycle import Service
from app.recognition.challenge import CHALLENGES
from app.usecases.liveness_sessions import open_session


def add(api: Blueprint, service: Service, limits: RateLimits) -> None:
    """Add the call.

    A session counts as a failed login until one succeeds: a client that has filmed one challenge
    must not open sessions until that one is drawn.
    """

    @api.post("/liveness-sessions", endpoint="liveness_sessions")
    @allow(Role.LOGIN)
    @describe("Open a liveness session for one login", answers=LIVENESS_SESSION, done=(201,))
    def open_liveness_session() -> Response:
        limits.check_login(own_address())
        session = open_session(service.store, key_id())
        limits.login_failed(own_address())
        answer = jsonify(
            session_id=session.session_id,
            challenge=session.challenge,
            moves=[move.value for move in CHALLENGES[session.challenge]],
            expires_at=time_json(int(session.until)),
        )
        answer.status_code = 201
        return answer
