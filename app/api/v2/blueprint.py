"""All calls under `/api/v2`."""

from typing import NamedTuple

from flask import Blueprint

from app.access.rate_limits import RateLimits
from app.api.paths import V2
from app.api.v2 import (
    candidates,
    comparisons,
    faces,
    feature_vectors,
    liveness_sessions,
    people,
    probes,
    samples,
    transfer,
)
from app.audit import AuditLog
from app.lifecycle import Service
from app.limiter import Limiter, Pages
from app.usecases.employee_samples import EmployeeSamples
from app.usecases.employees import Employees
from app.usecases.enrolment import Enrolment
from app.usecases.faces import Faces
from app.usecases.login import Login
from app.usecases.verification import Verification


class UseCases(NamedTuple):
    """What the calls ask for."""

    log_in: Login
    verify: Verification
    faces: Faces
    enrolment: Enrolment
    employees: Employees
    samples: EmployeeSamples


def blueprint(
    service: Service,
    use: UseCases,
    audit: AuditLog,
    limits: RateLimits,
    slots: Limiter,
    pages: Pages,
) -> Blueprint:
    """Return the calls.

    slots: each call that takes a photo holds one until it is answered. pages: so does each list.
    """
    api = Blueprint("v2", __name__, url_prefix=V2)
    probes.add(api, service, use.log_in, use.verify, limits, slots)
    candidates.add(api, service, use.faces, slots)
    comparisons.add(api, service, use.faces, slots)
    faces.add(api, use.faces, slots)
    liveness_sessions.add(api, service, limits)
    feature_vectors.add(api, service, use.faces, slots)
    people.add(api, service, use.enrolment, use.employees, slots, pages)
    samples.add(api, use.samples, slots)
    transfer.add(api, service, audit)
    return api
