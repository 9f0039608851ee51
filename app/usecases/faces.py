"""What is asked about faces without letting anybody in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.audit import AuditLog
from app.gallery import NEEDED
from app.lifecycle import Service
from app.recognition import NotAnImage, UnusableImage
from app.recognition.comparison_score import comparison_score
from app.recognition.described import DescribedPhoto
from app.recognition.detector import DetectedFace
from app.stages import stage
from app.storage import Employee
from app.usecases.records import Scope
from app.usecases.samples import unit

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near two faces are.

    score: the share of strangers who come less near, in [0, 1]; None if it is unknown.
    """

    distance: float
    score: float | None


class Faces:
    """Describes faces, compares them, and searches for them.

    threshold: distance below which two photos match.
    """

    def __init__(self, service: Service, audit: AuditLog, threshold: float) -> None:
        self._service = service
        self._audit = audit
        self._threshold = threshold

    def describe(self, photo: bytes) -> DescribedPhoto:
        """Return every face of a photo. Raises UnusableImage, NotAnImage, NotReady."""
        with stage("recognition"):
            return self._service.recogniser.describe(photo)

    def locate(self, photo: bytes) -> tuple[DetectedFace, Vector]:
        """Return the main face of a photo. Raises UnusableImage, NotAnImage, NotReady."""
        with stage("recognition"):
            return self._service.recogniser.main_face(photo)

    def candidates(
        self, vector: Vector, limit: int, groups: Scope = None
    ) -> list[tuple[Employee, Nearness]]:
        """Return the nearest employees, nearest first, by their plain distances.

        vector: (dimension,) of unit length. groups: search only people who are in one of them.
        Raises NotReady, StoreUnavailable, IndexUnavailable, AuditUnavailable.
        """
        with self._audit.entry("candidates", size=limit) as facts:
            facts["model"] = self._service.recogniser.model.name
            people = self._service.nearest_people(vector, groups, max(limit, NEEDED))[:limit]
            facts["shown"] = [employee.employee_id for employee, _ in people]
        return [(employee, self._nearness(distance)) for employee, distance in people]

    def compare(self, photos: Sequence[bytes]) -> tuple[bool, Nearness]:
        """Return whether the main faces of two photos match, and how near they are.

        Raises UnusableImage, NotAnImage, which name the photo; NotReady.
        """
        recogniser = self._service.recogniser
        vectors = []
        for number, photo in enumerate(photos, start=1):
            try:
                with stage("recognition"):
                    vectors.append(recogniser.for_login(photo))
            except (UnusableImage, NotAnImage) as error:
                raise type(error)(f"picture {number}: {error}") from error
        one, other = vectors
        distance = float(np.linalg.norm(one - other)) * recogniser.model.distance_scale
        return distance < self._threshold, self._nearness(distance)

    def vector(self, photo: bytes) -> Vector:
        """Return the vector of a photo that is good enough to be enrolled.

        Raises UnusableImage, NotAnImage, NotReady.
        """
        with stage("recognition"):
            return self._service.recogniser.for_enrolment(photo).vector

    def unit(self, vector: Sequence[float]) -> Vector:
        """Return a vector scaled to unit length. Raises WrongDimension, NotReady."""
        (row,) = unit([vector], self._service.recogniser.model.dimension)
        return np.asarray(row)

    def _nearness(self, distance: float) -> Nearness:
        model = self._service.recogniser.model.name
        return Nearness(round(distance, 4), comparison_score(model, distance))
