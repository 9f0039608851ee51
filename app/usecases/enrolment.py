"""Enrol people: store their photos or feature vectors under their employee id."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.audit import AuditLog, Fields
from app.lifecycle import Service
from app.storage import (
    Employee,
    EmployeeChanged,
    EmployeeExists,
    NoSuchEmployee,
    Profile,
    new_enrolment_id,
)
from app.usecases.one_person import new_samples
from app.usecases.records import Scope, in_scope, stored_employee, stored_record
from app.usecases.samples import Refused, Samples


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """What to store. `vectors` take precedence over `photos`; one of them is not empty.

    photos: encoded pictures, one large face in each.
    vectors: finite and non-zero, of any length.
    profile: what to keep beside name and face; None keeps what is stored. Its times are ignored.
    partial: leave out photos that cannot be used, unless all of them cannot.
    allow_similar: enrol the person even if the face surely belongs to another employee.
    enrolment_id: a retry has that of the first attempt, and succeeds if the first attempt did.
    """

    employee_id: int
    name: str
    surname: str
    photos: Sequence[bytes] = ()
    vectors: Sequence[Sequence[float]] = ()
    profile: Profile | None = None
    partial: bool = False
    allow_similar: bool = False
    enrolment_id: str = field(default_factory=new_enrolment_id)


@dataclass(frozen=True, slots=True)
class Expected:
    """What may be stored of an employee who is put.

    enrolment_id: only this enrolment; None if any. may_be_new: also nothing. may_exist: also an
    employee.
    """

    enrolment_id: str | None = None
    may_be_new: bool = True
    may_exist: bool = True


ANYTHING = Expected()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What `put` stored. is_new: whether the employee was not enrolled before."""

    employee: Employee
    refused: Sequence[Refused]
    is_new: bool


class Enrolment:
    """Enrols employees.

    All methods may raise FaceEnrolled, WrongDimension, UnusableImage, NotAnImage, NotReady,
    ExternalIdTaken, StoreUnavailable and IndexUnavailable; and AuditUnavailable after the write: it
    is done, but not acknowledged. scope: people outside it do not exist for the caller.
    """

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    def add(self, request: EnrolmentRequest) -> None:
        """Enrol a new employee. On return, the record is durable and every process finds it.

        Raises EmployeeExists.
        """
        with self._audit.entry("enrol", employee_id=request.employee_id) as facts:
            samples = self._samples(request, facts)
            with self._service.writing(request.employee_id):
                self._service.store.add(self._employee(request, samples, None, None))

    def replace(self, request: EnrolmentRequest, scope: Scope = None) -> None:
        """Replace all that is stored of an employee. Raises NoSuchEmployee."""
        with self._audit.entry("replace", employee_id=request.employee_id) as facts:
            samples = self._samples(request, facts)
            while self._replaced(request, samples, None, scope) is None:
                pass

    def put(
        self, request: EnrolmentRequest, expected: Expected = ANYTHING, scope: Scope = None
    ) -> Enrolled:
        """Enrol an employee, or replace all that is stored of one.

        Raises EmployeeChanged if not what is expected is stored; EmployeeExists if an employee
        outside the scope is.
        """
        with self._audit.entry("put", employee_id=request.employee_id) as facts:
            samples = self._samples(request, facts)
            if samples.refused:
                facts["refused"] = [each.photo for each in samples.refused]
            while True:
                if expected.may_be_new:
                    employee = self._employee(request, samples, None, scope)
                    try:
                        with self._service.writing(request.employee_id):
                            self._service.store.add(employee)
                        return self._enrolled(request.employee_id, samples, employee)
                    except EmployeeExists:
                        if not expected.may_exist:
                            raise EmployeeChanged("the employee is enrolled already") from None
                try:
                    replaced = self._replaced(request, samples, expected.enrolment_id, scope)
                except NoSuchEmployee:
                    if not expected.may_be_new:
                        raise EmployeeChanged("the employee is not enrolled") from None
                    if scope is not None:
                        raise EmployeeExists("another client's employee has that id") from None
                    continue  # removed just now
                if replaced:
                    return Enrolled(replaced, samples.refused, is_new=False)

    def _enrolled(self, employee_id: int, samples: Samples, added: Employee) -> Enrolled:
        """Return what was added: what is stored already, if this is the retry of a replacement."""
        stored = stored_employee(self._service.store, employee_id)
        if stored is None or stored.enrolment_id != added.enrolment_id:  # changed since
            return Enrolled(added, samples.refused, is_new=True)
        is_new = stored.profile.enrolled_at == stored.profile.updated_at
        return Enrolled(stored, samples.refused, is_new)

    def examine(self, request: EnrolmentRequest) -> Sequence[Refused]:
        """Return which photos `put` would leave out. Raises what it would, and stores nothing."""
        return self._samples(request, {}).refused

    def _samples(self, request: EnrolmentRequest, facts: Fields) -> Samples:
        return new_samples(
            self._service,
            request.employee_id,
            request.photos,
            request.vectors,
            facts,
            partial=request.partial,
            allow_similar=request.allow_similar,
        )

    def _employee(
        self, request: EnrolmentRequest, samples: Samples, stored: Employee | None, scope: Scope
    ) -> Employee:
        """Return the record to store. stored: the one that it replaces.

        Groups outside the scope stay.
        """
        now = int(time.time())
        before = stored.profile if stored else Profile(enrolled_at=now)
        profile = request.profile or before
        foreign = () if scope is None else set(before.groups) - scope
        profile = replace(
            profile,
            groups=tuple(sorted({*profile.groups, *foreign})),
            enrolled_at=before.enrolled_at,
            updated_at=now,
        )
        reference = samples.reference
        return Employee(
            request.employee_id,
            request.name,
            request.surname,
            reference.vectors,
            reference.model,
            request.enrolment_id,
            reference.photo_hashes,
            reference.samples,
            profile,
            samples.second,
        )

    def _replaced(
        self, request: EnrolmentRequest, samples: Samples, was: str | None, scope: Scope
    ) -> Employee | None:
        """Replace the stored employee and return them; None if somebody was faster.

        Raises NoSuchEmployee, EmployeeChanged if `was` is not stored.
        """
        store = self._service.store
        # A record that cannot be read is replaced, too.
        stored, read = stored_record(store, request.employee_id)
        if scope is not None and not (stored and in_scope(stored, scope)):
            raise NoSuchEmployee(f"employee {request.employee_id} is not enrolled")
        if was is not None and read not in (was, request.enrolment_id):
            raise EmployeeChanged(f"employee {request.employee_id} has changed meanwhile")
        if stored and read == request.enrolment_id:  # this is a retry
            with self._service.writing(request.employee_id):  # an index may not have it yet
                return stored
        employee = self._employee(request, samples, stored, scope)
        try:
            with self._service.writing(request.employee_id):
                store.replace(employee, read)
        except EmployeeChanged:
            return None
        return employee
