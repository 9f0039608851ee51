"""One person, one id: find out whether a new face belongs to another employee already."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from app.audit import Fields
from app.gallery.distances import identified
from app.lifecycle import Service
from app.recognition import NotAnImage, UnusableImage
from app.stages import stage
from app.storage import Reference
from app.usecases.samples import Samples, from_photos, from_vectors

log = structlog.get_logger()

# Shares of new employees who are as near to somebody enrolled by chance: the face is likely, or
# surely, that person's. With few people enrolled nothing is sure.
_LIKELY, _SURELY = 0.01, 0.001


class FaceEnrolled(Exception):
    """The face surely belongs to another employee already."""


def new_samples(
    service: Service,
    employee_id: int,
    photos: Sequence[bytes],
    vectors: Sequence[Sequence[float]],
    facts: Fields,
    *,
    partial: bool = False,
    allow_similar: bool = False,
) -> Samples:
    """Return new samples of an employee, whose face is nobody else's.

    Vectors take precedence over photos. partial: as of `from_photos`. allow_similar, facts: as of
    `check_not_enrolled`; facts takes the model, too. Raises NotReady, and what these raise.
    """
    recogniser = service.recogniser
    facts["model"] = recogniser.model.name
    service.check_enrolment()
    if vectors:
        samples = from_vectors(vectors, recogniser.model)
    else:
        samples = from_photos(photos, recogniser, partial=partial)
        samples = replace(samples, second=_under_second(service, photos))
    made = samples.reference.vectors
    check_not_enrolled(service, employee_id, made, facts, allow_similar=allow_similar)
    return samples


def _under_second(service: Service, photos: Sequence[bytes]) -> Reference | None:
    """Return the same photos under the second model; None if there is none, or it takes none."""
    if service.second is None:
        return None
    try:
        return from_photos(photos, service.second, partial=True).reference
    except (UnusableImage, NotAnImage) as error:
        log.warning(
            "not enrolled under the second model, a login will do that",
            model=service.second.model.name,
            reason=str(error),
        )
        return None


def check_not_enrolled(
    service: Service,
    employee_id: int,
    vectors: NDArray[np.float32],
    facts: Fields,
    *,
    allow_similar: bool,
) -> None:
    """Note who else the face likely is. Raise FaceEnrolled if it surely is that employee.

    One vector decides, because one is enough to log in with. So each of several has a part of the
    chance that a new person is refused.

    vectors: (n, dimension), of unit length, of the employee with this id. facts: takes who the face
    may be. allow_similar: raise nothing.
    """
    likely = service.distance_of(_LIKELY)
    surely = service.distance_of(_SURELY / len(vectors))
    limit = service.threshold if likely is None else likely
    nearest = []
    for vector in vectors:
        with stage("search"):
            people = service.gallery.nearest_people(vector)
        others = [each for each in people if each[0].employee_id != employee_id]
        if found := identified(others):
            nearest.append((found[1], found[0].employee_id))
    distance, other = min(nearest, default=(np.inf, 0))
    if not distance < limit:
        return
    facts |= {"similar_to": other, "similar_distance": round(distance, 4)}
    log.warning("the face may be enrolled under another id", **facts)
    if surely is not None and distance < surely and not allow_similar:
        raise FaceEnrolled
