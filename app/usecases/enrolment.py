"""Enrol a person: store their photos or feature vectors under their employee id."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from app.audit import AuditLog, Fields
from app.gallery.distances import identified
from app.lifecycle import Service
from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.frame_sequence import ObservedFace
from app.recognition.perceptual_hash import photo_hashes
from app.recognition.recogniser import Recogniser
from app.stages import stage
from app.storage import Employee, new_enrolment_id

log = structlog.get_logger()

# Distance up to which two photos count as one person's. Only 0.6 % of the pairs of one person are
# farther apart, half of them wrong labels. docs/quality.md says how often strangers pass.
_SAME_PERSON = 1.0
# Shares of new employees who are as near to somebody enrolled by chance: the face is likely, or
# surely, that person's. With few people enrolled nothing is sure.
_LIKELY, _SURELY = 0.01, 0.001


class FaceEnrolled(Exception):
    """The face surely belongs to another employee already."""


class WrongDimension(ValueError):
    """The feature vectors are not of the model's dimension."""


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """What to store. `vectors` take precedence over `photos`; one of them is not empty.

    photos: encoded pictures, one large face in each.
    vectors: finite and non-zero, of any length.
    allow_similar: enrol the person even if the face surely belongs to another employee.
    enrolment_id: a retry has that of the first attempt, and succeeds if the first attempt did.
    """

    employee_id: int
    name: str
    surname: str
    photos: Sequence[bytes] = ()
    vectors: Sequence[Sequence[float]] = ()
    allow_similar: bool = False
    enrolment_id: str = field(default_factory=new_enrolment_id)


class Enrolment:
    """Enrols new employees and replaces enrolled ones.

    Both methods may raise AuditUnavailable after the write: it is done, but not acknowledged.
    """

    def __init__(self, service: Service, audit: AuditLog) -> None:
        self._service = service
        self._audit = audit

    def add(self, request: EnrolmentRequest) -> None:
        """Enrol a new employee. On return, the record is durable and every process finds it.

        Raises EmployeeExists, FaceEnrolled, WrongDimension, UnusableImage, NotAnImage, NotReady,
        StoreUnavailable, IndexUnavailable.
        """
        with self._audit.entry("enrol", employee_id=request.employee_id) as facts:
            employee = self._employee(request, facts)
            with self._service.writing(employee.employee_id):
                self._service.store.add(employee)

    def replace(self, request: EnrolmentRequest) -> None:
        """Replace all that is stored of an employee. Raises NoSuchEmployee, and as `add`."""
        with self._audit.entry("replace", employee_id=request.employee_id) as facts:
            employee = self._employee(request, facts)
            with self._service.writing(employee.employee_id):
                self._service.store.replace(employee)

    def _employee(self, request: EnrolmentRequest, facts: Fields) -> Employee:
        recogniser = self._service.recogniser
        facts["model"] = recogniser.model.name
        self._service.check_enrolment()
        hashes: tuple[bytes, ...] = ()
        if request.vectors:
            vectors = _unit(request.vectors, recogniser.model.dimension)
        else:
            with stage("recognition"):
                faces = _faces(recogniser, request.photos)
            vectors = np.stack([face.vector for face in faces])
            hashes = tuple(each for face in faces for each in photo_hashes(face.aligned))
            farthest = np.sqrt(max(2 - 2 * float((vectors @ vectors.T).min()), 0))
            if farthest * recogniser.model.distance_scale > _SAME_PERSON:
                raise DifferentPeople("the pictures show different people, enrol one person")
        self._compare_with_others(request, vectors, facts)
        return Employee(
            request.employee_id,
            request.name,
            request.surname,
            vectors,
            recogniser.model.name,
            request.enrolment_id,
            hashes,
        )

    def _compare_with_others(
        self, request: EnrolmentRequest, vectors: NDArray[np.float32], facts: Fields
    ) -> None:
        """Note who the face likely is. Raise FaceEnrolled if it surely is that employee.

        One vector decides, because one is enough to log in with. So each of several has a part of
        the chance that a new person is refused.
        """
        likely = self._service.distance_of(_LIKELY)
        surely = self._service.distance_of(_SURELY / len(vectors))
        limit = self._service.threshold if likely is None else likely
        nearest = []
        for vector in vectors:
            with stage("search"):
                people = self._service.gallery.nearest_people(vector)
            others = [each for each in people if each[0].employee_id != request.employee_id]
            if found := identified(others):
                nearest.append((found[1], found[0].employee_id))
        distance, other = min(nearest, default=(np.inf, 0))
        if not distance < limit:
            return
        facts |= {"similar_to": other, "similar_distance": round(distance, 4)}
        log.warning("the face may be enrolled under another id", **facts)
        is_sure = surely is not None and distance < surely
        if is_sure and not request.allow_similar:
            raise FaceEnrolled


def _faces(recogniser: Recogniser, photos: Sequence[bytes]) -> list[ObservedFace]:
    """Return the face of each photo. If there are several photos, errors name the bad one."""
    faces = []
    for number, photo in enumerate(photos, start=1):
        try:
            faces.append(recogniser.for_enrolment(photo))
        except (UnusableImage, NotAnImage) as error:
            if len(photos) > 1:
                raise type(error)(f"picture {number}: {error}") from error
            raise
    return faces


def _unit(vectors: Sequence[Sequence[float]], dimension: int) -> NDArray[np.float32]:
    """Return the vectors scaled to unit length. Raises WrongDimension."""
    for number, vector in enumerate(vectors, start=1):
        if len(vector) != dimension:
            raise WrongDimension(
                f"feature vector {number} has {len(vector)} numbers, this model's have {dimension}"
            )
    rows = np.array(vectors, np.float64)
    # Divide by the largest number first, so that squares neither overflow nor underflow.
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)
