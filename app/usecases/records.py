"""Read and change the records of employees, as far as the caller may see them."""

import time
from collections.abc import Callable
from dataclasses import replace

from app.gallery.distances import in_groups
from app.lifecycle import Service
from app.stages import stage
from app.storage import Employee, EmployeeChanged, EmployeeStore, NoSuchEmployee

Scope = frozenset[str] | None
"""The groups whose people the caller may see; None means everybody."""


def in_scope(employee: Employee, scope: Scope) -> bool:
    """Return whether a caller with this scope may see the employee."""
    return bool(in_groups([employee], scope))


def stored_employee(store: EmployeeStore, employee_id: int) -> Employee | None:
    """Return an employee; None if there is none whose record can be read."""
    return next(iter(store.get([employee_id])), None)


def stored_record(store: EmployeeStore, employee_id: int) -> tuple[Employee | None, str]:
    """Return an employee, None if the record cannot be read, and the enrolment to replace.

    A write that replaces this enrolment undoes nothing that others write meanwhile.
    Raises NoSuchEmployee.
    """
    # Read the id first: it must not be that of a record written after the employee was read.
    enrolment_id = store.enrolment_id(employee_id)
    if enrolment_id is None:
        raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
    employee = stored_employee(store, employee_id)
    return employee, employee.enrolment_id if employee else enrolment_id


def visible(service: Service, employee_id: int, scope: Scope) -> Employee:
    """Return an employee. Raises NoSuchEmployee, also for one outside the scope."""
    with stage("store"):
        found = stored_employee(service.store, employee_id)
    if found is None or not in_scope(found, scope):
        raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
    return service.seen(found)


def edited(
    service: Service,
    employee_id: int,
    scope: Scope,
    enrolment_id: str,
    change: Callable[[Employee], Employee],
    was: str | None = None,
) -> Employee:
    """Change an employee's record, and return it as it is stored then.

    If others change the record meanwhile, `change` is applied to what they stored.

    enrolment_id: identifies the change; if it is stored already, this is a retry, and nothing more
        happens. was: the enrolment that the caller has seen; None if that does not matter.
    Raises NoSuchEmployee, EmployeeChanged if `was` is not stored, and what `change` raises.
    """
    while True:
        employee = visible(service, employee_id, scope)
        if employee.enrolment_id == enrolment_id:
            with service.writing(employee_id):  # an index may not have it yet
                return employee
        if was is not None and was != employee.enrolment_id:
            raise EmployeeChanged(f"employee {employee_id} has changed meanwhile")
        changed = change(employee)
        profile = replace(changed.profile, updated_at=int(time.time()))
        changed = replace(changed, enrolment_id=enrolment_id, profile=profile)
        try:
            with service.writing(employee_id):
                service.store.update(changed, employee.enrolment_id)
        except EmployeeChanged:
            continue
        return changed
