"""Find out, from a few people, whether a model tells them apart at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from app.gallery.distances import comparable
from app.storage import Employee, EmployeeStore
from models.catalogue import FaceModel, ModelUnavailable

_MOST = 1_000  # people compared with each other
_FEWEST = 3  # near pairs that are no accident
_TOO_MANY = 0.05  # share of near pairs; it is about 0.001 with a good model


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of different employees. near: how many of `total` are nearer than α."""

    total: int
    near: int

    @property
    def are_too_near(self) -> bool:
        """Whether strangers would be let in whatever they look like."""
        return self.near >= _FEWEST and self.near > _TOO_MANY * self.total

    def sentence(self, model: str) -> str:
        """Return it for people."""
        return (
            f"Under {model}, {self.near} of {self.total} pairs of different employees are nearer "
            "than α"
        )


def compared(employees: Iterable[Employee], model: FaceModel, alpha: float) -> Pairs:
    """Compare the first vectors of up to 1,000 employees who are enrolled under the model."""
    people = islice((each for e in employees for each in comparable([e], model)), _MOST)
    vectors = np.array([each.vectors[0] for each in people]).reshape(-1, model.dimension)
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * model.distance_scale
    return Pairs(len(distances), int((distances < alpha).sum()))


def check_migrated(store: EmployeeStore, model: FaceModel, alpha: float) -> None:
    """Raise ModelUnavailable if the model takes those for one person whom logins enrolled.

    This is for the start that makes a second model the one that runs.
    """
    if not store.count_second():
        return
    pairs = compared((e for e in store.read_all() if e.second_model == model.name), model, alpha)
    if pairs.are_too_near:
        raise ModelUnavailable(
            f"{pairs.sentence(model.name)}, so it would let strangers in: set FACE_MODEL back to "
            "the model that ran before"
        )
