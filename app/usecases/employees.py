"""List, show, change, export and remove employees."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from app.audit import AuditLog
from app.lifecycle import Service
from app.stages import stage
from app.storage import Employee, EmployeeChanged, NoSuchEmployee, Selection, UsedProbe
from app.storage.names import words
from app.usecases.records import Scope, edited, in_scope, visible


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list. total: how many are on all pages. is_last: whether no page follows."""

    employees: list[Employee]
    total: int
    is_last: bool


class Employees:
    """Lists, shows, changes, exports and removes employees.

    All methods may raise AuditUnavailable and StoreUnavailable. scope: people outside it do not
    exist for the caller.
    """

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    def page(self, size: int, number: int, scope: Scope = None) -> list[Employee]:
        """Return page `number`, from 1, in ascending order of id."""
        with self._audit.entry("list", size=size, number=number), stage("store"):
            store = self._service.store
            if scope is None:
                return list(map(self._service.seen, store.page(size, number)))
            ids = store.members(scope)[size * (number - 1) :][:size].tolist()
            return [self._service.seen(e) for e in store.get(ids) if in_scope(e, scope)]

    def find(
        self,
        limit: int,
        after: int | None = None,
        *,
        name: str = "",
        groups: Scope = None,
        external_id: str | None = None,
        lacks_second: bool = False,
    ) -> Listed:
        """Return the first `limit` employees, in ascending order of id.

        after: only those with greater ids. name: words that begin words of their names.
        groups: only those in one of them. lacks_second: only those who are not enrolled under a
        second model, too.
        """
        facts = {"limit": limit, "after": after, "groups": groups and sorted(groups)}
        selection = Selection(words(name), groups, external_id, lacks_second)
        with self._audit.entry("list", **facts), stage("store"):
            found = self._service.store.find(selection, limit + 1, after)
            total = self._service.store.count_selected(selection)
        employees = list(map(self._service.seen, found[:limit]))
        return Listed(employees, total, len(found) <= limit)

    def show(self, employee_id: int, scope: Scope = None) -> Employee:
        """Return an employee. Raises NoSuchEmployee."""
        with self._audit.entry("show", employee_id=employee_id):
            return visible(self._service, employee_id, scope)

    def change(
        self,
        employee_id: int,
        changes: Mapping[str, Any],
        enrolment_id: str,
        was: str | None = None,
        scope: Scope = None,
    ) -> Employee:
        """Change fields of an employee and their profile; vectors stay. Return the employee.

        changes: `name`, `surname`, `external_id`, `metadata`, `groups`. Groups outside the scope
            stay as they are.
        enrolment_id, was: as of `edited`, which says what this raises.
        """

        def apply(employee: Employee) -> Employee:
            profile = employee.profile
            fields = {name: changes[name] for name in ("name", "surname") if name in changes}
            if "external_id" in changes:
                profile = replace(profile, external_id=changes["external_id"])
            if "metadata" in changes:
                profile = replace(profile, metadata=changes["metadata"])
            if "groups" in changes:
                foreign = () if scope is None else set(profile.groups) - scope
                profile = replace(profile, groups=tuple(sorted({*changes["groups"], *foreign})))
            return replace(employee, **fields, profile=profile)

        with self._audit.entry("change", employee_id=employee_id, fields=sorted(changes)):
            return edited(self._service, employee_id, scope, enrolment_id, apply, was)

    def export(self, employee_id: int, scope: Scope = None) -> tuple[Employee, list[UsedProbe]]:
        """Return all that is stored of an employee. Raises NoSuchEmployee."""
        with self._audit.entry("export", employee_id=employee_id), stage("store"):
            employee = visible(self._service, employee_id, scope)
            return employee, self._service.store.used_probes(employee_id)

    def discard(self, employee_id: int, scope: Scope = None, was: str | None = None) -> None:
        """Remove all that is stored of an employee, if anything is; otherwise as `remove`."""
        with suppress(NoSuchEmployee):  # a client's retry must not look like a failure
            self.remove(employee_id, scope, was)

    def remove(self, employee_id: int, scope: Scope = None, was: str | None = None) -> None:
        """Remove all that is stored of an employee.

        was: the enrolment to remove; None if any.
        Raises NoSuchEmployee, EmployeeChanged if `was` is not stored, IndexUnavailable.
        """
        with self._audit.entry("delete", employee_id=employee_id):
            while True:
                # A record that cannot be read is removed, too, by those who may see everybody.
                seen = was
                if scope is not None:
                    seen = visible(self._service, employee_id, scope).enrolment_id
                if was not in (None, seen):
                    raise EmployeeChanged(f"employee {employee_id} has changed meanwhile")
                try:
                    with self._service.writing(employee_id):
                        self._service.store.remove(employee_id, seen)
                    return
                except EmployeeChanged:
                    if was is not None:
                        raise
                    # Perhaps the employee has left the groups.
