"""Find how near the enrolled people are to one another, without holding all their vectors."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray

from app.gallery.distances import comparable, templates
from app.storage import Employee
from models.catalogue import FaceModel

PROBES = 2_000  # people compared with all others; more would narrow the intervals little
KEPT = 16  # nearest people of each: those who decide a login, and a few under a second id
_GOOD = "good"  # a sample's quality
_NAMED = 20  # people with one vector whose ids are kept
_VECTORS = 1_024  # compared at a time; their cosines take 8 MB, and sorting them several times that
_UNIT = 1e-3  # how far the square of a unit vector's length may be from 1


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """How near everybody enrolled is to some of them, the probes.

    people: how many have vectors that can be compared. single: how many of them have one vector.
    first_single: the ids of some of those, ascending, but people with a photo that was not good
    come first. probes: (n,) ids. distances: (n, KEPT) to the nearest other people, ascending;
    infinite if there are fewer. others: (n, KEPT) their ids. between: (n(n − 1)/2,) the distances
    of all two probes.
    """

    people: int
    single: int
    first_single: tuple[int, ...]
    probes: NDArray[np.int64]
    distances: NDArray[np.float64]
    others: NDArray[np.int64]
    between: NDArray[np.float64]


def find_neighbours(
    read_all: Callable[[], Iterable[Employee]],
    model: FaceModel,
    step: Callable[[int], object],
    most: int = PROBES,
) -> Neighbours:
    """Read everybody twice: to choose the probes, and to compare everybody with them.

    The probes are chosen by a hash of their ids, so all processes choose the same people. Each is
    compared by the first vector, with all templates of the others.

    read_all: as `EmployeeStore.read_all`. step: called with the number of people read since the
    last call; what it raises ends the measurement. most: probes to choose.
    """
    people = single = 0
    first_single: list[tuple[bool, int]] = []

    def usable() -> Iterator[list[Employee]]:
        for batch in _batches(read_all()):
            step(len(batch))
            yield [employee for employee in comparable(batch, model) if _is_unit(employee)]

    def ranked() -> Iterator[tuple[bytes, int, NDArray[np.float32]]]:
        nonlocal people, single, first_single
        for batch in usable():
            people += len(batch)
            alone = [
                (employee.samples[0].quality in (None, _GOOD), employee.employee_id)
                for employee in batch
                if len(employee.vectors) == 1
            ]
            single += len(alone)
            first_single = nsmallest(_NAMED, [*first_single, *alone])
            for employee in batch:
                yield _rank(employee.employee_id), employee.employee_id, employee.vectors[0]

    chosen = nsmallest(most, ranked(), key=lambda each: each[:2])
    probes = np.array([employee_id for _, employee_id, _ in chosen], np.int64)
    vectors = np.array([vector for *_, vector in chosen], np.float32).reshape(-1, model.dimension)
    cosines = np.full((len(probes), KEPT), -np.inf, np.float32)
    others = np.full((len(probes), KEPT), -1, np.int64)
    for batch in usable():
        if batch:
            found = _cosines(vectors, [templates(employee) for employee in batch])
            ids = np.array([employee.employee_id for employee in batch], np.int64)
            _, themselves, columns = np.intersect1d(probes, ids, return_indices=True)
            found[themselves, columns] = -np.inf
            _keep_nearest(cosines, others, found, ids)
    between = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return Neighbours(
        people,
        single,
        tuple(employee_id for _, employee_id in first_single),
        probes,
        _distances(cosines, model),
        others,
        _distances(between, model),
    )


def _distances(cosines: NDArray[np.float32], model: FaceModel) -> NDArray[np.float64]:
    squares = 2 - 2 * cosines.astype(np.float64)
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0)) * model.distance_scale
    return distances


def _cosines(probes: NDArray[np.float32], people: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return how similar each probe is to each person's nearest template, (probes, people)."""
    similar: NDArray[np.float32] = probes @ np.concatenate(people).T
    if similar.shape[1] == len(people):
        return similar
    starts = np.cumsum([0, *(len(each) for each in people[:-1])])
    nearest: NDArray[np.float32] = np.maximum.reduceat(similar, starts, axis=1)
    return nearest


def _keep_nearest(
    cosines: NDArray[np.float32],
    others: NDArray[np.int64],
    found: NDArray[np.float32],
    ids: NDArray[np.int64],
) -> None:
    """Merge what a batch holds, (probes, people), into the nearest so far, (probes, KEPT)."""
    rows = np.flatnonzero((found > cosines[:, -1:]).any(axis=1))
    merged = np.concatenate((cosines[rows], found[rows]), axis=1)
    owners = np.concatenate((others[rows], np.broadcast_to(ids, found[rows].shape)), axis=1)
    order = np.argpartition(-merged, KEPT - 1, axis=1)[:, :KEPT]
    nearest = np.take_along_axis(merged, order, axis=1)
    order = np.take_along_axis(order, np.argsort(-nearest, axis=1, kind="stable"), axis=1)
    cosines[rows] = np.take_along_axis(merged, order, axis=1)
    others[rows] = np.take_along_axis(owners, order, axis=1)


def _batches(employees: Iterable[Employee]) -> Iterator[list[Employee]]:
    """Yield the employees in lists of about as many vectors."""
    batch: list[Employee] = []
    vectors = 0
    for employee in employees:
        batch.append(employee)
        vectors += len(employee.vectors)
        if vectors >= _VECTORS:
            yield batch
            batch, vectors = [], 0
    if batch:
        yield batch


def _is_unit(employee: Employee) -> bool:
    """Return whether the vectors are as the service stores them, finite and of unit length."""
    squares = np.square(employee.vectors, dtype=np.float64).sum(axis=1)
    return bool((abs(squares - 1) < _UNIT).all())


def _rank(employee_id: int) -> bytes:
    return blake2b(str(employee_id).encode(), digest_size=8).digest()
