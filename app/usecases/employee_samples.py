"""Add and remove single samples of an employee."""

from collections.abc import Sequence

from app.audit import AuditLog
from app.lifecycle import Service
from app.storage import Employee, sample_id
from app.usecases.one_person import new_samples
from app.usecases.records import Scope, edited
from app.usecases.samples import check_one_person, joined, without


class OtherModel(Exception):
    """The employee is enrolled with another face model than the one that runs."""


class TooManySamples(Exception):
    """The employee has as many samples as MAX_VECTORS_PER_EMPLOYEE allows."""


class EmployeeSamples:
    """Adds and removes samples of employees.

    Both methods may raise NoSuchEmployee, EmployeeChanged, StoreUnavailable, IndexUnavailable and
    AuditUnavailable. enrolment_id, was: as of `edited`. scope: people outside it do not exist for
    the caller.
    """

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    def add(
        self,
        employee_id: int,
        photo: bytes | None,
        vector: Sequence[float] | None,
        most: int,
        enrolment_id: str,
        *,
        allow_similar: bool = False,
        was: str | None = None,
        scope: Scope = None,
    ) -> tuple[Employee, str]:
        """Add a sample of a photo or a vector; return the employee, and the sample's id.

        most: samples that an employee may have.
        Raises TooManySamples, OtherModel, DifferentPeople, FaceEnrolled, WrongDimension,
        UnusableImage, NotAnImage, NotReady.
        """
        with self._audit.entry("add_sample", employee_id=employee_id) as facts:
            new = new_samples(
                self._service,
                employee_id,
                () if photo is None else (photo,),
                () if vector is None else (vector,),
                facts,
                allow_similar=allow_similar,
            )
            added = sample_id(new.reference.vectors[0])
            model = self._service.recogniser.model

            def change(employee: Employee) -> Employee:
                if employee.model != model.name:
                    raise OtherModel(
                        f"the employee is enrolled with the model {employee.model}, not "
                        f"{model.name}: enrol them again"
                    )
                if added in map(sample_id, employee.vectors):
                    return employee
                if len(employee.vectors) >= most:
                    raise TooManySamples(f"the employee has {most} samples, remove one first")
                if photo is not None:
                    check_one_person(new.reference.vectors, employee.vectors, model)
                second = employee.second
                if new.second and not (second and len(second.vectors) >= most):
                    second = joined(employee.second_of(new.second.model), new.second)
                return employee.referred_by(joined(employee.reference, new.reference), second)

            changed = edited(self._service, employee_id, scope, enrolment_id, change, was)
            facts["sample"] = added
            return changed, added

    def remove(
        self,
        employee_id: int,
        removed: str,
        enrolment_id: str,
        *,
        was: str | None = None,
        scope: Scope = None,
    ) -> None:
        """Remove the sample with this id. Raises NoSuchSample, LastSample."""

        def change(employee: Employee) -> Employee:
            return without(employee, removed)

        with self._audit.entry("remove_sample", employee_id=employee_id, sample=removed):
            edited(self._service, employee_id, scope, enrolment_id, change, was)
