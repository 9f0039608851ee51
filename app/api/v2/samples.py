"""The calls `samples`: add and remove single photos of an employee."""

import re

from flask import Blueprint, Response, current_app, jsonify, make_response

from app.access import Role
from app.api.access import allow, scope
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.parameters import checked, enrolment_id, etag, expected_enrolment
from app.api.v2.answers import samples_json
from app.api.v2.bodies import read
from app.api.v2.people_schemas import SAMPLE, SampleBody
from app.limiter import Limiter
from app.usecases.employee_samples import EmployeeSamples

_SAMPLE_ID = re.compile("[0-9a-f]{16}")
_PATH = "/employees/<id:employee_id>/samples"


def add(api: Blueprint, of: EmployeeSamples, slots: Limiter) -> None:
    """Add the calls. slots: adding a sample holds one until it is answered."""

    @api.post(_PATH)
    @allow(Role.ENROL)
    @describe(
        "Add a sample",
        SampleBody,
        SAMPLE,
        errors=(404, 409, 412, 422),
        done=(201,),
        headers=("Idempotency-Key", "If-Match"),
    )
    def add_sample(employee_id: int) -> Response:
        retry, was = enrolment_id(), expected_enrolment()
        with slots:
            body = read(SampleBody)
            employee, added = of.add(
                checked(employee_id),
                body.photo,
                body.feature_vector,
                current_app.config["MAX_VECTORS_PER_EMPLOYEE"],
                retry,
                allow_similar=body.allow_similar,
                was=was,
                scope=scope(),
            )
        samples = samples_json(employee)
        # If a retry is answered by another kind of CPU, its vector may differ in the last bit.
        answer = jsonify(next((s for s in samples if s["sample_id"] == added), samples[-1]))
        answer.set_etag(etag(employee))
        answer.status_code = 201
        return answer

    @api.delete(f"{_PATH}/<sample_id>")
    @allow(Role.ENROL)
    @describe(
        "Remove a sample, unless it is the last",
        errors=(404, 409, 412),
        done=(204,),
        headers=("Idempotency-Key", "If-Match"),
    )
    def remove_sample(employee_id: int, sample_id: str) -> Response:
        retry, was = enrolment_id(), expected_enrolment()
        if not _SAMPLE_ID.fullmatch(sample_id):
            raise Problem(400, "bad_request", "sample_id: must be 16 hexadecimal digits")
        of.remove(checked(employee_id), sample_id, retry, was=was, scope=scope())
        return make_response("", 204)
