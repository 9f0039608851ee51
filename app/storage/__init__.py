"""Employees, durably. This module is the contract; `sqlite` and `mongodb` keep it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray


def new_enrolment_id() -> str:
    """An id that no other enrolment has."""
    return uuid4().hex


@dataclass(frozen=True, slots=True, eq=False)
class Employee:
    """One enrolled person.

    vectors: (n, dimension) float32, n ≥ 1, unit length, all computed by the model named `model`.
    enrolment_id: names the one write that made this record, for ever; a retried write keeps it. ""
    in records that are older than these ids.
    photo_hashes: perceptual hashes of the photos that were enrolled, which are not stored; none for
    those who were enrolled with vectors, or by an older release.
    """

    employee_id: int
    name: str
    surname: str
    vectors: NDArray[np.float32]
    model: str
    enrolment_id: str = field(default_factory=new_enrolment_id)
    photo_hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """Who a record is of. model: what made its vectors; None if they cannot be read here.

    employee_id: as text, because other clients may have stored what is no employee's id.
    """

    employee_id: str
    name: str
    surname: str
    model: str | None


@dataclass(frozen=True, slots=True)
class UsedProbe:
    """What is remembered of a login's photo and film, and until when at least.

    photo_hash: their perceptual hashes, one after the other. until: seconds since 1970.
    """

    photo_hash: bytes
    until: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Which employees were enrolled, replaced or removed since an earlier position."""

    position: int
    employee_ids: frozenset[int]


class EmployeeExists(Exception):
    """An employee with that id is stored already."""


class NoSuchEmployee(Exception):
    """No employee with that id is stored."""


class ChangesForgotten(Exception):
    """The position is older than what the change log remembers: read everything again."""


class StoreUnavailable(Exception):
    """The database did not answer in time, or refused; the message says so without secrets."""


class UnknownSeal(Exception):
    """Vectors are stored that VECTOR_KEYS cannot open; the message says which, and what to do."""


ProbeCheck = Callable[[Sequence[UsedProbe]], int]
"""Looks at the used probes that are remembered; see `EmployeeStore.use_probe`."""


class EmployeeStore(Protocol):
    """What every store does. All methods may raise StoreUnavailable and are thread-safe.

    The change log makes every worker read its colleagues' writes: a change is in the log before
    the write that made it is acknowledged, and its entries become visible in the order of their
    numbers, so `changes_since(p)` never skips one.
    """

    @property
    def address(self) -> str:
        """Where the employees are, without secrets, as logs and people call it."""

    def add(self, employee: Employee) -> None:
        """Store a new employee durably; done already, with this enrolment_id, it is a success.

        Raises EmployeeExists.
        """

    def replace(self, employee: Employee) -> None:
        """Replace all that is stored of an employee. Raises NoSuchEmployee."""

    def remove(self, employee_id: int) -> None:
        """Remove an employee. Raises NoSuchEmployee."""

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        """Those of the employees that are stored at this moment, in ascending order of id.

        may_lag: a server that lags behind will do, where the store is set up for that, while the
        one that decides is away.
        """

    def page(self, size: int, number: int) -> list[Employee]:
        """Page `number` (from 1) of `size` employees, in ascending order of id; [] past the end."""

    def read_all(self) -> Iterator[Employee]:
        """Every employee, in ascending order of id, without holding all of them in memory."""

    def outlines(self) -> Iterator[Outline]:
        """Who is stored, in ascending order of id, also those whose vectors cannot be read."""

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        """Remember a probe, unless `check` raises; nothing changes then.

        check: is shown all that are remembered, in the order in which they were used, and says how
        many of the oldest are forgotten. It may be called more than once: nothing is remembered
        between what it was shown last and this probe. So of two that are used at once, one is
        checked against the other. All are forgotten with the employee, and when the employee is
        replaced. Raises NoSuchEmployee if that has happened.
        """

    def used_probes(self, employee_id: int) -> list[UsedProbe]:
        """The probes that are remembered of an employee, in the order in which they were used."""

    def count(self) -> int:
        """About how many employees are stored; a crash of the database may put it off a little."""

    def models(self) -> dict[str, int]:
        """How many employees are stored for each model name."""

    def check_seals(self) -> None:
        """Return when the vectors of every record can be opened. Raises UnknownSeal."""

    def seal_anew(self) -> Iterator[tuple[int, int]]:
        """Seal with the first key what is not, beside others who read and write.

        Yields how many records were done and how many there were to do. Raises UnknownSeal, at the
        end where some are left: because they cannot be opened, or came meanwhile.
        """

    def position(self) -> int:
        """The number of the newest change, 0 when there was none."""

    def changes_since(self, position: int) -> Changes:
        """The changes after `position`. Raises ChangesForgotten.

        There are none while a store that is set up to lag behind cannot reach the server that
        decides.
        """

    def changes_remembered(self) -> Changes:
        """All changes that the change log still holds."""

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
