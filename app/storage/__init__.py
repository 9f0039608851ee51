"""The contract of the employee stores, which `sqlite` and `mongodb` implement."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.storage.employee import Employee as Employee
from app.storage.employee import Profile as Profile
from app.storage.employee import Reference as Reference
from app.storage.employee import Sample as Sample
from app.storage.employee import new_enrolment_id as new_enrolment_id
from app.storage.employee import sample_id as sample_id


@dataclass(frozen=True, slots=True)
class Selection:
    """Which employees to list: those who meet every condition; by default everybody.

    words: each begins a word of the name or the surname; folded, as `names.words` returns them.
    groups: the employee is in one of them. lacks: a model that the employee is not enrolled under.
    """

    words: tuple[str, ...] = ()
    groups: frozenset[str] | None = None
    external_id: str | None = None
    lacks: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """A record without its vectors."""

    employee_id: str  # text, because other clients may have stored ids that are not whole numbers
    name: str
    surname: str
    model: str | None  # the model that computed the vectors; None if they cannot be read here
    second_model: str | None = None  # another model that the person is enrolled under, too


@dataclass(frozen=True, slots=True)
class UsedProbe:
    """The photo and frames of one login, remembered so that their reuse can be detected."""

    photo_hash: bytes  # their perceptual hashes, concatenated
    until: float  # when the probe may be forgotten at the earliest, in seconds since 1970


@dataclass(frozen=True, slots=True)
class LivenessSession:
    """A challenge that one login may answer."""

    session_id: str  # nobody can guess it
    challenge: str  # its name
    owner: str  # id of the API key that opened it; "" without keys
    until: float  # when it expires, in seconds since 1970


@dataclass(frozen=True, slots=True)
class Changes:
    """The employees enrolled, replaced or removed since an earlier position."""

    position: int  # of the newest of these changes
    employee_ids: frozenset[int]


class EmployeeExists(Exception):
    """An employee with that id is already stored."""


class NoSuchEmployee(Exception):
    """No employee with that id is stored."""


class EmployeeChanged(Exception):
    """Another enrolment of that employee is stored than the one that was to be changed."""


class ExternalIdTaken(Exception):
    """Another employee has that external id."""


class TooManySessions(Exception):
    """No more liveness sessions can be open."""


class ChangesForgotten(Exception):
    """The change log does not reach back to that position; read the whole store again."""


class StoreUnavailable(Exception):
    """The database did not answer in time, or refused. The message says why, without secrets."""


class UnknownSeal(Exception):
    """VECTOR_KEYS cannot open some stored vectors. The message says which, and what to do."""


ProbeCheck = Callable[[Sequence[UsedProbe]], int]
"""Judges a probe by the used probes that are remembered; see `EmployeeStore.use_probe`."""


class EmployeeStore(Protocol):
    """The contract of every store. All methods are thread-safe and may raise StoreUnavailable.

    Methods that return employees log and skip the records that they cannot read.

    The change log lets every worker see the writes of all others. A change is in the log before the
    write that made it is acknowledged, and entries become visible in the order of their numbers, so
    `changes_since` never skips one.
    """

    @property
    def address(self) -> str:
        """The location of the store for logs and people, without secrets."""

    def add(self, employee: Employee) -> None:
        """Store a new employee durably; succeed if this very enrolment is already stored.

        Raises EmployeeExists, ExternalIdTaken.
        """

    def replace(self, employee: Employee, was: str | None = None) -> None:
        """Replace everything stored about an employee.

        Raises NoSuchEmployee, ExternalIdTaken.

        was: the enrolment to replace. If another one is stored, raises EmployeeChanged, unless it
            is the employee's own: that is a retry, and succeeds. None replaces any.
        """

    def update(self, employee: Employee, was: str) -> None:
        """Replace the record as `replace` does, but remember the employee's used probes."""

    def remove(self, employee_id: int, was: str | None = None) -> None:
        """Remove an employee. Raises NoSuchEmployee, EmployeeChanged; `was` as in `replace`."""

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        """Return those of the employees that are stored at this moment, in ascending order of id.

        may_lag: accept the answer of a secondary, which may lag, if no primary is available. This
            has an effect only if the store is configured to read from secondaries.
        """

    def enrolment_id(self, employee_id: int) -> str | None:
        """Return the id of the enrolment that is stored, readable or not; None if there is none."""

    def page(self, size: int, number: int) -> list[Employee]:
        """Return page `number` (from 1) of `size` employees in ascending order of id.

        Returns [] past the end.
        """

    def find(self, selection: Selection, limit: int, after: int | None = None) -> list[Employee]:
        """Return the first `limit` employees of a selection, in ascending order of id.

        after: an id; only employees with greater ids are returned.
        """

    def count_selected(self, selection: Selection) -> int:
        """Return the number of employees of a selection."""

    def members(self, groups: frozenset[str]) -> NDArray[np.int64]:
        """Return the ids of the employees who are in one of the groups, ascending."""

    def prepare_search(self) -> None:
        """Index the names that older releases wrote; `find` does that, too, but it takes time."""

    def read_all(self) -> Iterator[Employee]:
        """Yield every employee in ascending order of id, without holding all of them in memory."""

    def outlines(self) -> Iterator[Outline]:
        """Yield the outline of every record in ascending order of id, readable vectors or not."""

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        """Remember a probe, unless `check` raises; in that case nothing changes.

        The used probes of an employee are forgotten when the employee is replaced or removed.
        Raises NoSuchEmployee if that has happened to this enrolment.

        check: gets all remembered probes of the employee, oldest first, and returns how many of the
            oldest to forget. It may run several times. No other probe is stored between its last
            run and this write, so of two simultaneous logins one is checked against the other.
        """

    def used_probes(self, employee_id: int) -> list[UsedProbe]:
        """Return the remembered probes of an employee, oldest first."""

    def open_session(self, session: LivenessSession, now: float, most: int) -> None:
        """Store a liveness session until it expires. Raises TooManySessions.

        now: seconds since 1970. most: number of sessions of this owner that may be stored; a few
            more may be if they are opened at one moment, and expired ones may count for a minute.
        """

    def take_session(self, session_id: str, owner: str, now: float) -> LivenessSession | None:
        """Return a session and delete it, in one step: only one of all processes gets it.

        Returns None if no such session is open: it never was, it was taken, it has expired, or it
        is another owner's. After StoreUnavailable it may be taken.
        """

    def count(self) -> int:
        """Return the approximate number of employees; a crash of the database may skew it."""

    def models(self) -> dict[str, int]:
        """Return the number of employees for each model name; second references do not count."""

    def count_second(self, *models: str) -> int:
        """Return the number of employees whose second reference is of one of the models."""

    def set_second(self, employee: Employee) -> None:
        """Store the employee's second reference, and leave all else as it is.

        The enrolment keeps its id. Raises NoSuchEmployee if it is not stored any more.
        """

    def check_seals(self) -> None:
        """Raise UnknownSeal if a record is sealed with a key that VECTOR_KEYS does not hold."""

    def reseal(self) -> Iterator[tuple[int, int]]:
        """Reseal with the first key all records sealed otherwise, while others read and write.

        Yields the number of records done so far, and their total. Raises UnknownSeal at once if a
        key is missing, and at the end if records are left over, because they could not be opened
        or were written meanwhile.
        """

    def position(self) -> int:
        """Return the position of the newest change, 0 if there is none."""

    def changes_since(self, position: int) -> Changes:
        """Return the changes after `position`. Raises ChangesForgotten.

        A store that reads from secondaries returns no changes while the primary is unavailable.
        """

    def changes_remembered(self) -> Changes:
        """Return all changes that the change log still holds."""

    def close(self) -> None:
        """Release all connections; the store must not be used afterwards."""
