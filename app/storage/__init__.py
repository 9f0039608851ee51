"""The contract of the employee stores, which `sqlite` and `mongodb` implement."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray


def new_enrolment_id() -> str:
    """Return a new unique id."""
    return uuid4().hex


@dataclass(frozen=True, slots=True, eq=False)
class Employee:
    """One enrolled person.

    vectors: (n, dimension) float32, n ≥ 1, unit length, all computed by the model named `model`.
    photo_hashes: perceptual hashes of the enrolled photos, which are not stored themselves. Empty
        for employees enrolled with vectors, or by an older release.
    """

    employee_id: int
    name: str
    surname: str
    vectors: NDArray[np.float32]
    model: str
    # Identifies the write that made this record; a retried write keeps it. "" in old records.
    enrolment_id: str = field(default_factory=new_enrolment_id)
    photo_hashes: tuple[bytes, ...] = ()

    @property
    def from_photos(self) -> bool:
        """Whether the vectors are known to be of photos that were checked to show one person."""
        return bool(self.photo_hashes)


@dataclass(frozen=True, slots=True)
class Outline:
    """A record without its vectors."""

    employee_id: str  # text, because other clients may have stored ids that are not whole numbers
    name: str
    surname: str
    model: str | None  # the model that computed the vectors; None if they cannot be read here


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

        Raises EmployeeExists.
        """

    def replace(self, employee: Employee) -> None:
        """Replace everything stored about an employee. Raises NoSuchEmployee."""

    def remove(self, employee_id: int) -> None:
        """Remove an employee. Raises NoSuchEmployee."""

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        """Return those of the employees that are stored at this moment, in ascending order of id.

        may_lag: accept the answer of a secondary, which may lag, if no primary is available. This
            has an effect only if the store is configured to read from secondaries.
        """

    def page(self, size: int, number: int) -> list[Employee]:
        """Return page `number` (from 1) of `size` employees in ascending order of id.

        Returns [] past the end.
        """

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

        now: seconds since 1970. most: number of sessions that may be stored; a few more may be if
            they are opened at one moment, and expired ones may count for a minute.
        """

    def take_session(self, session_id: str, owner: str, now: float) -> LivenessSession | None:
        """Return a session and delete it, in one step: only one of all processes gets it.

        Returns None if no such session is open: it never was, it was taken, it has expired, or it
        is another owner's. After StoreUnavailable it may be taken.
        """

    def count(self) -> int:
        """Return the approximate number of employees; a crash of the database may skew it."""

    def models(self) -> dict[str, int]:
        """Return the number of employees for each model name."""

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
