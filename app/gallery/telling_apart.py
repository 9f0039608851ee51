"""Find out, from a few people, whether a model tells them apart at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from app.gallery.distances import comparable
from app.storage import Employee, EmployeeStore
from models.catalogue import FaceModel

_MOST = 1_000  # people compared with each other
_FEWEST = 5  # near pairs that are no accident
_TOO_MANY = 0.1  # share of near pairs; it is about 0.001 with a good model


class TakesAllForOne(Exception):
    """The model takes most people for one person. The message says what to do."""


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
        if not self.total:
            return f"Under {model}, there is nobody yet to compare"
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


def check_new_model(store: EmployeeStore, model: FaceModel, alpha: float) -> None:
    """Raise TakesAllForOne if the model does not tell those apart who are enrolled under it.

    Only a second model is checked, when it begins to run: nobody was enrolled under it first.
    """
    # The first question takes an index; the other may count everybody.
    if not store.count_second(model.name) or model.name in store.models():
        return
    pairs = compared(store.read_all(), model, alpha)
    if pairs.are_too_near:
        raise TakesAllForOne(
            f"{pairs.sentence(model.name)}, so it would let strangers in: set FACE_MODEL back to "
            "the model that ran before"
        )
