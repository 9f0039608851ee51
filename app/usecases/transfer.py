"""Export all employees, and import them into this or another store."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from app.audit import AuditLog
from app.storage import (
    Employee,
    EmployeeChanged,
    EmployeeExists,
    EmployeeStore,
    ExternalIdTaken,
    NoSuchEmployee,
)
from app.usecases.records import stored_record
from app.usecases.transfer_lines import BadLine, Checked, Header, employee_of, written
from models.catalogue import FaceModel


class Existing(StrEnum):
    """What to do with a person whose id is stored with another enrolment."""

    SKIP = "skip"
    REPLACE = "replace"
    FAIL = "fail"


class Outcome(StrEnum):
    """What became of one person."""

    CREATED = "created"
    UNCHANGED = "unchanged"  # this very enrolment was stored already
    REPLACED = "replaced"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a line. line: its number, from 1. code, detail: why it was refused."""

    line: int
    employee_id: int | None
    result: Outcome
    code: str | None = None
    detail: str | None = None

    def members(self) -> dict[str, Any]:
        """Return what there is to say, as JSON has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Transfer:
    """Exports and imports employees. All methods may raise StoreUnavailable, AuditUnavailable.

    model: the one that runs. writing: as of `Service.writing`; by default nothing, because every
    process follows the store's change log.
    """

    def __init__(
        self,
        store: EmployeeStore,
        model: FaceModel,
        audit: AuditLog,
        writing: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        self._store = store
        self._model = model
        self._audit = audit
        self._writing = writing

    def export(self) -> Iterator[bytes]:
        """Return the lines of an export, which are read from the store one by one."""
        self._audit.write("export_all", "ok")
        return written(self._store.read_all(), self._model)

    def load(
        self, lines: Iterable[bytes], checked: Checked, existing: Existing
    ) -> Iterator[Result]:
        """Import the employees of lines, which `check` has read, and yield a result for each.

        Each is durable when its result is yielded. What is imported already stays as it is, so an
        import that was interrupted is simply repeated. May raise IndexUnavailable.
        """
        for number, line in enumerate(islice(lines, 1, checked.employees + 1), start=2):
            yield self._loaded(number, line, checked.header, existing)

    def _loaded(self, number: int, line: bytes, header: Header, existing: Existing) -> Result:
        try:
            employee = employee_of(line, header)
        except BadLine as error:
            return Result(number, None, Outcome.REFUSED, "bad_line", str(error))
        employee_id = employee.employee_id
        try:
            with self._audit.entry("import", employee_id=employee_id) as facts:
                facts["result"] = outcome = self._stored(employee, existing)
        except EmployeeExists:
            sentence = "another enrolment is stored with that employee id"
            return Result(number, employee_id, Outcome.REFUSED, "employee_exists", sentence)
        except ExternalIdTaken as error:
            return Result(number, employee_id, Outcome.REFUSED, "external_id_taken", str(error))
        return Result(number, employee_id, outcome)

    def _stored(self, employee: Employee, existing: Existing) -> Outcome:
        while True:
            try:
                found, read = stored_record(self._store, employee.employee_id)
            except NoSuchEmployee:
                with suppress(EmployeeExists), self._writing(employee.employee_id):
                    self._store.add(employee)
                    return Outcome.CREATED
                continue  # somebody else has enrolled them meanwhile
            if found and read == employee.enrolment_id:
                return Outcome.UNCHANGED
            if existing is Existing.SKIP:
                return Outcome.SKIPPED
            if existing is Existing.FAIL:
                raise EmployeeExists
            try:
                with self._writing(employee.employee_id):
                    self._store.replace(employee, read)
                return Outcome.REPLACED
            except (EmployeeChanged, NoSuchEmployee):
                continue  # somebody else has written meanwhile
