"""List, export and remove employees."""

from app.audit import AuditLog
from app.lifecycle import Service
from app.stages import stage
from app.storage import Employee, NoSuchEmployee, UsedProbe


class Employees:
    """Lists, exports and removes employees. All methods may raise AuditUnavailable."""

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    def page(self, size: int, number: int) -> list[Employee]:
        """Return page `number`, from 1, in ascending order of id. Raises StoreUnavailable."""
        with self._audit.entry("list", size=size, number=number), stage("store"):
            return self._service.store.page(size, number)

    def export(self, employee_id: int) -> tuple[Employee, list[UsedProbe]]:
        """Return all that is stored of an employee. Raises NoSuchEmployee, StoreUnavailable."""
        with self._audit.entry("export", employee_id=employee_id), stage("store"):
            found = self._service.store.get([employee_id])
            if not found:
                raise NoSuchEmployee(f"employee {employee_id} is not enrolled")
            return found[0], self._service.store.used_probes(employee_id)

    def remove(self, employee_id: int) -> None:
        """Remove all that is stored of an employee.

        Raises NoSuchEmployee, StoreUnavailable, IndexUnavailable.
        """
        with (
            self._audit.entry("delete", employee_id=employee_id),
            self._service.writing(employee_id),
        ):
            self._service.store.remove(employee_id)
