"""Endpoints that enrol, list, export and remove employees."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.api.access import Access, allow, scope
from app.api.bodies import read_body
from app.api.errors import Problem
from app.api.middleware import text
from app.api.openapi import describe
from app.api.parameters import checked, enrolment_id
from app.api.schemas import EXPORT, USERS, StoreBody
from app.limiter import Limiter, Pages
from app.storage import Employee, Profile, Sample
from app.usecases.employees import Employees
from app.usecases.enrolment import Enrolment, EnrolmentRequest

MAX_PAGE_SIZE = 1000
MAX_PAGE_NUMBER = 2**31
_MAX_COMPONENTS = 3_000_000  # of all feature vectors of a page: about 60 MB of JSON
_RETRY = ("Idempotency-Key",)


def blueprint(
    enrolment: Enrolment, employees: Employees, access: Access, slots: Limiter, pages: Pages
) -> Blueprint:
    """Return the endpoints store, get_all, delete and export.

    slots: an enrolment holds one until it is answered. pages: so does a list.
    """
    api = Blueprint("employees", __name__, url_prefix="/api")

    @api.post("/store/<id:employee_id>")
    @allow(Role.ENROL)
    @describe("Enrol a new employee", StoreBody, errors=(409, 422), headers=_RETRY)
    def enrol(employee_id: int) -> Response:
        with slots:
            enrolment.add(_request(employee_id, Profile(groups=tuple(sorted(scope() or ())))))
        return text("ok")

    @api.put("/store/<id:employee_id>")
    @allow(Role.ENROL)
    @describe(
        "Replace everything stored about an employee",
        StoreBody,
        errors=(404, 409, 422),
        headers=_RETRY,
    )
    def replace(employee_id: int) -> Response:
        with slots:
            enrolment.replace(_request(employee_id), scope())
        return text("ok")

    @api.get("/get_all/<page_size>/<page_number>")
    @allow(Role.ENROL)
    @describe("List one page of employees, sorted by id", answers=USERS)
    def get_all(page_size: str, page_number: str) -> Response:
        size = _whole_number("page_size", page_size, MAX_PAGE_SIZE)
        number = _whole_number("page_number", page_number, MAX_PAGE_NUMBER)
        with pages:
            page = employees.page(size, number, scope())
            body = "".join(_page_json(page, access.is_admin()))
        return Response(body, mimetype="application/json")

    @api.delete("/<id:employee_id>")
    @allow(Role.ADMIN)
    @describe("Remove everything stored about an employee; also succeeds if nothing is stored")
    def remove(employee_id: int) -> Response:
        employees.discard(checked(employee_id), scope())
        return text("ok")

    @api.get("/employees/<id:employee_id>/export", endpoint="export")
    @allow(Role.ADMIN)
    @describe("Export everything stored about an employee", answers=EXPORT, errors=(404,))
    def export_employee(employee_id: int) -> Response:
        employee, probes = employees.export(checked(employee_id), scope())
        second = employee.second
        return jsonify(
            _id=employee.employee_id,
            name=employee.name,
            surname=employee.surname,
            enrolment_id=employee.enrolment_id,
            model=employee.model,
            feature_vectors=employee.vectors.tolist(),
            photo_hashes=[photo_hash.hex() for photo_hash in employee.photo_hashes],
            samples=[
                {"sample_id": name, **_sample_json(sample)}
                for name, sample in employee.named_samples()
            ],
            second_model=second
            and {
                "model": second.model,
                "feature_vectors": second.vectors.tolist(),
                "photo_hashes": [photo_hash.hex() for photo_hash in second.photo_hashes],
                "samples": [_sample_json(sample) for sample in second.samples],
            },
            **asdict(employee.profile),
            used_photos=[
                {"photo_hash": probe.photo_hash.hex(), "until": probe.until} for probe in probes
            ],
        )

    return api


def _sample_json(sample: Sample) -> dict[str, Any]:
    return {"enrolled_at": sample.enrolled_at, "quality": sample.quality}


def _page_json(page: Sequence[Employee], with_vectors: bool) -> Iterator[str]:
    """Yield the parts of a page's JSON. Raises Problem if its feature vectors are too large.

    Numbers become Python objects one vector at a time: those of a page would take gigabytes, and
    other threads can run in between.
    """
    if with_vectors and sum(employee.vectors.size for employee in page) > _MAX_COMPONENTS:
        sentence = "page_size: the feature vectors of so many people are too large for one page"
        raise Problem(400, "page_too_large", f"{sentence}, ask for fewer than {len(page)}")
    yield '{"users":['
    for number, employee in enumerate(page):
        user = {"_id": employee.employee_id, "name": employee.name, "surname": employee.surname}
        # Clients expect `img`, so it is always present.
        vectors = employee.vectors if with_vectors else ()
        img = ",".join(json.dumps(vector.tolist(), separators=(",", ":")) for vector in vectors)
        unclosed = json.dumps(user, separators=(",", ":"))[:-1]
        yield f'{"," * (number > 0)}{unclosed},"img":[{img}]}}'
    yield "]}\n"


def _request(employee_id: int, profile: Profile | None = None) -> EnrolmentRequest:
    retry = enrolment_id()
    body = read_body(StoreBody)
    return EnrolmentRequest(
        checked(employee_id),
        body.name,
        body.surname,
        photos=body.img_base64 or (),
        vectors=body.img_features or (),
        profile=profile,
        allow_similar=body.allow_similar,
        enrolment_id=retry,
    )


def _whole_number(field: str, value: str, maximum: int) -> int:
    is_decimal = value.isascii() and value.isdigit() and len(value) < 20 and value[0] != "0"
    if is_decimal and int(value) <= maximum:
        return int(value)
    raise Problem(400, "bad_request", f"{field}: must be a whole number from 1 to {maximum}")
