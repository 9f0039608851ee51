"""The calls that let a person in: `identifications` and `verifications`."""

import time

from flask import Blueprint, Response, g, jsonify

from app.access import Role
from app.access.rate_limits import RateLimits
from app.api.access import allow, key_id, own_address
from app.api.login import counted
from app.api.openapi import describe
from app.api.v2.answer_schemas import IDENTIFICATION, VERIFICATION
from app.api.v2.answers import employee_json
from app.api.v2.bodies import read
from app.api.v2.groups import chosen
from app.api.v2.schemas import ProbeBody, VerificationBody
from app.lifecycle import Service
from app.limiter import Limiter
from app.usecases.login import Login
from app.usecases.probes import Probe
from app.usecases.verification import Verification

_REFUSED = (406, 410, 422)


def add(
    api: Blueprint,
    service: Service,
    log_in: Login,
    verify: Verification,
    limits: RateLimits,
    slots: Limiter,
) -> None:
    """Add the calls. slots: each holds one until it is answered."""

    @api.post("/identifications", endpoint="identifications")
    @allow(Role.LOGIN)
    @describe("Log in: whose face is it?", ProbeBody, IDENTIFICATION, errors=_REFUSED)
    def identify() -> Response:
        limits.check_login(own_address())
        with slots:
            body = read(ProbeBody)
            with counted(limits):
                employee = log_in(_probe(body))
        return jsonify(match=employee_json(employee), **_facts(service, body))

    @api.post("/verifications", endpoint="verifications")
    @allow(Role.LOGIN)
    @describe("Log in: is it this employee?", VerificationBody, VERIFICATION, errors=_REFUSED)
    def verify_claim() -> Response:
        limits.check_login(own_address())
        with slots:
            body = read(VerificationBody)
            with counted(limits):
                verify(_probe(body), body.employee_id)
        return jsonify(verified=True, **_facts(service, body))


def _probe(body: ProbeBody) -> Probe:
    return Probe(
        body.photo,
        body.frames,
        "liveness" in body.checks,
        "fraud" in body.checks,
        body.threshold,
        chosen(body.group),
        body.session_id,
        key_id(),
    )


def _facts(service: Service, body: ProbeBody) -> dict[str, object]:
    """Return what every answer of a login says: no score, as it would help to climb to a match."""
    return {
        "checks": body.checks,
        "model": service.recogniser.model.name,
        "took_ms": round((time.perf_counter() - g.began) * 1000, 1),
    }
