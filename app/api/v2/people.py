"""The calls `employees`: enrol, show, change, list and remove people."""

from flask import Blueprint, Response, jsonify, make_response, request

from app.access import Role
from app.api.access import allow, scope
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.parameters import checked, enrolment_id, etag, expected_enrolment
from app.api.schemas import MAX_ID
from app.api.v2.answers import person_json, refused_json
from app.api.v2.bodies import read, read_query
from app.api.v2.groups import chosen, own
from app.api.v2.people_schemas import (
    ENROLLED,
    PEOPLE,
    PERSON,
    EmployeeBody,
    EmployeePatch,
    ListQuery,
)
from app.lifecycle import Service
from app.limiter import Limiter, Pages
from app.storage import Employee, Profile
from app.usecases.employees import Employees
from app.usecases.enrolment import Enrolment, EnrolmentRequest, Expected

_PATH = "/employees/<id:employee_id>"


def add(
    api: Blueprint,
    service: Service,
    enrolment: Enrolment,
    employees: Employees,
    slots: Limiter,
    pages: Pages,
) -> None:
    """Add the calls.

    slots: an enrolment holds one until it is answered. pages: so does a list.
    """

    @api.put(_PATH)
    @allow(Role.ENROL)
    @describe(
        "Enrol an employee, or replace everything stored about one",
        EmployeeBody,
        ENROLLED,
        errors=(409, 412, 422),
        done=(200, 201),
        headers=("Idempotency-Key", "If-Match", "If-None-Match"),
    )
    def put_employee(employee_id: int) -> Response:
        was, retry = expected_enrolment(), enrolment_id()
        expected = Expected(
            was,
            may_be_new=was is None and not request.if_match.star_tag,
            may_exist=not request.if_none_match.star_tag,
        )
        with slots:
            body = read(EmployeeBody)
            wanted = EnrolmentRequest(
                checked(employee_id),
                body.name,
                body.surname,
                photos=body.photos or (),
                vectors=body.feature_vectors or (),
                profile=Profile(body.external_id, body.metadata, own(body.groups)),
                partial=body.partial,
                allow_similar=body.allow_similar,
                enrolment_id=retry,
            )
            enrolled = enrolment.put(wanted, expected, scope())
        refused = [refused_json(each) for each in enrolled.refused]
        answer = jsonify(**person_json(enrolled.employee), refused=refused)
        if enrolled.is_new:
            answer.status_code = 201
            answer.headers["Location"] = request.path
        return _tagged(answer, enrolled.employee)

    @api.get(_PATH)
    @allow(Role.ENROL)
    @describe("Show an employee", answers=PERSON, errors=(404,))
    def show_employee(employee_id: int) -> Response:
        employee = employees.show(checked(employee_id), scope())
        return _tagged(jsonify(person_json(employee)), employee)

    @api.patch(_PATH)
    @allow(Role.ENROL)
    @describe(
        "Change what is stored beside the face",
        EmployeePatch,
        PERSON,
        errors=(404, 409, 412),
        headers=("Idempotency-Key", "If-Match"),
    )
    def change_employee(employee_id: int) -> Response:
        retry, was = enrolment_id(), expected_enrolment()
        body = read(EmployeePatch)
        changes = {name: getattr(body, name) for name in body.model_fields_set}
        if "groups" in changes:
            changes["groups"] = own(body.groups)
        employee = employees.change(checked(employee_id), changes, retry, was, scope())
        return _tagged(jsonify(person_json(employee)), employee)

    @api.delete(_PATH)
    @describe(
        "Remove everything stored about an employee, if there is anything",
        errors=(412,),
        done=(204,),
        headers=("If-Match",),
    )
    def remove_employee(employee_id: int) -> Response:
        employees.discard(checked(employee_id), scope(), expected_enrolment())
        return make_response("", 204)

    @api.get("/employees")
    @allow(Role.ENROL)
    @describe("List employees, in ascending order of id", answers=PEOPLE, query=ListQuery)
    def list_employees() -> Response:
        asked = read_query(ListQuery)
        after = None if asked.cursor is None else int(asked.cursor)
        if after is not None and abs(after) > MAX_ID:
            raise Problem(400, "bad_request", "cursor: send the next_cursor of the page before")
        with pages:
            listed = employees.find(
                asked.limit,
                after,
                name=asked.q,
                groups=chosen(asked.group),
                external_id=asked.external_id,
                lacks=_second_model(service) if asked.second_model else None,
            )
            people = [person_json(employee) for employee in listed.employees]
        last = None if listed.is_last else str(listed.employees[-1].employee_id)
        return jsonify(employees=people, total=listed.total, next_cursor=last)


def _second_model(service: Service) -> str:
    if service.second is None:
        sentence = "second_model: this service changes to no other model (SECOND_FACE_MODEL)"
        raise Problem(400, "bad_request", sentence)
    return service.second.model.name


def _tagged(answer: Response, employee: Employee) -> Response:
    """Name the enrolment, so that the caller can say which one to change."""
    answer.set_etag(etag(employee))
    return answer
