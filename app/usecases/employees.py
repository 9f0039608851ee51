"""Enrolment: a person's photos or feature vectors are stored under their employee id.

And what undoes it, and lists it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.audit import AuditLog, Fields
from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.film import Seen
from app.recognition.perceptual_hash import photo_hashes
from app.recognition.recogniser import Recogniser
from app.storage import Employee, NoSuchEmployee, UsedProbe, new_enrolment_id
from app.usecases.service import Service

# Of distances between photos of one person 99 % are below 0.95, of two people 1 % below 0.92:
# docs/accuracy.md.
_SAME_PERSON = 1.0


class WrongDimension(ValueError):
    """The feature vectors are not of the model's dimension."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is to be stored. `vectors` win over `photos`; one of them holds something.

    photos: encoded pictures, one large face in each.
    vectors: finite and non-zero, of any length.
    enrolment_id: given again, it is the same enrolment, which may have been made already.
    """

    employee_id: int
    name: str
    surname: str
    photos: Sequence[bytes] = ()
    vectors: Sequence[Sequence[float]] = ()
    enrolment_id: str = field(default_factory=new_enrolment_id)


class Employees:
    """Enrols, replaces, removes and lists employees."""

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    # Each of these may raise AuditUnavailable, too; what it did is then done, but not acknowledged.

    def add(self, enrolment: Enrolment) -> None:
        """Enrol a new employee; on return it is durable and found by every process.

        Raises EmployeeExists, WrongDimension, UnusableImage, NotAnImage, NotReady,
        StoreUnavailable, IndexUnavailable.
        """
        with self._audit.entry("enrol", employee_id=enrolment.employee_id) as facts:
            employee = self._employee(enrolment, facts)
            with self._service.writing(employee.employee_id):
                self._service.store.add(employee)

    def replace(self, enrolment: Enrolment) -> None:
        """Replace all that is stored of an employee.

        Raises NoSuchEmployee, and what `add` raises.
        """
        with self._audit.entry("replace", employee_id=enrolment.employee_id) as facts:
            employee = self._employee(enrolment, facts)
            with self._service.writing(employee.employee_id):
                self._service.store.replace(employee)

    def remove(self, employee_id: int) -> None:
        """Remove all that is stored of an employee.

        Raises NoSuchEmployee, StoreUnavailable, IndexUnavailable.
        """
        with (
            self._audit.entry("delete", employee_id=employee_id),
            self._service.writing(employee_id),
        ):
            self._service.store.remove(employee_id)

    def page(self, size: int, number: int) -> list[Employee]:
        """Page `number`, from 1, in ascending order of id. Raises StoreUnavailable."""
        with self._audit.entry("list", size=size, number=number):
            return self._service.store.page(size, number)

    def export(self, employee_id: int) -> tuple[Employee, list[UsedProbe]]:
        """All that is stored of an employee. Raises NoSuchEmployee, StoreUnavailable."""
        with self._audit.entry("export", employee_id=employee_id):
            for employee in self._service.store.get([employee_id]):
                return employee, self._service.store.used_probes(employee_id)
            raise NoSuchEmployee(f"employee {employee_id} is not enrolled")

    def _employee(self, enrolment: Enrolment, facts: Fields) -> Employee:
        recogniser = self._service.recogniser
        facts["model"] = recogniser.model.name
        self._service.check_enrolment()
        hashes: tuple[bytes, ...] = ()
        if enrolment.vectors:
            vectors = _unit(enrolment.vectors, recogniser.model.dimension)
        else:
            seen = _seen(recogniser, enrolment.photos)
            vectors = np.stack([face.vector for face in seen])
            hashes = tuple(each for face in seen for each in photo_hashes(face.plain))
            distances = np.linalg.norm(vectors - vectors[0], axis=1)
            if distances.max() * recogniser.model.distance_scale > _SAME_PERSON:
                raise DifferentPeople("the pictures show different people, enrol one person")
        return Employee(
            enrolment.employee_id,
            enrolment.name,
            enrolment.surname,
            vectors,
            recogniser.model.name,
            enrolment.enrolment_id,
            hashes,
        )


def _seen(recogniser: Recogniser, photos: Sequence[bytes]) -> list[Seen]:
    """The face of each photo. If there are several, the exception's message says which is bad."""
    seen = []
    for number, photo in enumerate(photos, start=1):
        try:
            seen.append(recogniser.for_enrolment(photo))
        except (UnusableImage, NotAnImage) as error:
            if len(photos) > 1:
                raise type(error)(f"picture {number}: {error}") from error
            raise
    return seen


def _unit(vectors: Sequence[Sequence[float]], dimension: int) -> NDArray[np.float32]:
    for number, vector in enumerate(vectors, start=1):
        if len(vector) != dimension:
            raise WrongDimension(
                f"feature vector {number} has {len(vector)} numbers, this model's have {dimension}"
            )
    rows = np.array(vectors, np.float64)
    # the largest number first, so that squares neither overflow nor vanish
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)
