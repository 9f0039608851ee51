"""Search for probes among enrolled people as a login does, in galleries of several sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.evaluation.lists import Manifest
from app.evaluation.rates import Distances
from app.evaluation.templates import Templates, Vector
from app.gallery.distances import COMPARED, identified, is_ambiguous, ranked, templates
from app.storage import Employee
from models.catalogue import FaceModel

_SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)  # people in a gallery
_CHUNK = 128  # probes compared with everybody at a time
_MOST_COMPARISONS = 10_000_000  # non-mated distances kept
_SEED = 0

_People = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Search:
    """Searches in galleries of one size. Each probe is tried in one gallery.

    mated: distance to the nearest person if that is the probe's own, else infinite.
    mated_wrong: the same if it is another person. non_mated: distance to the nearest.
    mated_probes, non_mated_probes: which probe each belongs to. nearest: (non-mated,) the person
    that a non-mated probe is nearest to, as a number; -1 if its photo was refused.
    """

    enrolled: int
    galleries: int
    mated: Distances
    mated_wrong: Distances
    mated_probes: _People
    non_mated: Distances
    non_mated_probes: _People
    nearest: _People


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Distances of probes to enrolled people, one by one (1:1).

    mated_probes: which probe each of `mated` belongs to. non_mated: a part if there are too many.
    """

    mated: Distances
    mated_probes: _People
    non_mated: Distances


class Gallery:
    """The people of a manifest who could be enrolled, and the probes to search for."""

    def __init__(
        self, manifest: Manifest, enrolled: Templates, probes: Templates, model: FaceModel
    ) -> None:
        self._model = model
        self.people: list[Employee] = []
        self.not_enrolled: list[str] = []
        for person, photos in manifest.enrol.items():
            rows = [enrolled.rows[photo] for photo in photos if enrolled.usable(photo)]
            if rows:
                number, vectors = len(self.people), enrolled.vectors[rows]
                hashes = (b"",) * len(vectors)  # so that they count as photos
                self.people.append(
                    Employee(number, person, "", vectors, model.name, photo_hashes=hashes)
                )
            else:
                self.not_enrolled.append(person)
        numbers = {employee.name: employee.employee_id for employee in self.people}
        self.probes = manifest.probes
        self._rows = np.array([probes.rows[photo] for _, photo in self.probes], np.intp)
        self._probes = probes
        self._usable = np.array([probes.usable(photo) for _, photo in self.probes], bool)
        # The number of the person that each probe shows; -1 if they are not enrolled
        self.own = np.array([numbers.get(person, -1) for person, _ in self.probes], np.intp)
        known = [person in manifest.enrol for person, _ in self.probes]
        self.non_mated = ~np.array(known, bool) | (not manifest.strangers)

    def sizes(self, wanted: int | None = None) -> list[int]:
        """Return the sizes of galleries to try. wanted: one more."""
        everybody = len(self.people)
        smaller = {size for size in (*_SIZES, wanted or everybody) if size < everybody}
        return [*sorted(smaller), everybody]

    def search(self, sizes: Sequence[int]) -> tuple[Comparisons, list[Search]]:
        """Search for each probe. sizes: people in a gallery; at most as many as there are.

        People are dealt at random into galleries of a size. A probe is searched for in the gallery
        that holds its person, and in one that does not.
        """
        draws = [_Draw(self, size) for size in sizes]
        rows = [templates(employee) for employee in self.people]
        vectors, starts = np.concatenate(rows), np.cumsum([0, *map(len, rows[:-1])])
        mated = np.full(len(self.probes), np.inf)
        step = 1 + len(self.probes) * len(self.people) // _MOST_COMPARISONS
        others: list[NDArray[np.float32]] = []
        with tqdm(desc="searching", total=len(self.probes), unit=" probes", disable=None) as bar:
            for start in range(0, len(self.probes), _CHUNK):
                chunk = np.arange(start, min(start + _CHUNK, len(self.probes)))
                probes = self._probes.vectors[self._rows[chunk]]
                distances = self._distances(probes, vectors, starts)
                known = self.own[chunk] >= 0
                mated[chunk[known]] = distances[known, self.own[chunk[known]]]
                different = np.arange(len(self.people)) != self.own[chunk][:, None]
                others.append(distances[different][::step])
                for row, probe in enumerate(chunk.tolist()):
                    if self._usable[probe]:
                        for draw in draws:
                            draw.try_probe(probe, probes[row], distances[row])
                bar.update(len(chunk))
        with_mate = np.flatnonzero(self.own >= 0)
        compared = Comparisons(mated[with_mate], with_mate, np.concatenate(others).astype(float))
        return compared, [draw.result() for draw in draws]

    def identify(self, probe: Vector, people: _People) -> tuple[int, float]:
        """Return the number and the distance of the person whom a login would find.

        The distance is infinite if a login could not tell two people apart.

        people: numbers of the nearest ones.
        """
        nearest = ranked([self.people[number] for number in people], probe, self._model)
        if (found := identified(nearest)) is None:
            return -1, np.inf
        employee, distance = found
        return employee.employee_id, np.inf if is_ambiguous(nearest) else distance

    def _distances(
        self, probes: Vector, vectors: Vector, starts: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the plain distance of each probe (rows) to each person (columns)."""
        cosines = np.maximum.reduceat(probes @ vectors.T, starts, axis=1)
        distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * np.float32(self._model.distance_scale)
        return np.where(np.isnan(distances), np.float32(np.inf), distances)


class _Draw:
    """Galleries of one size that share nobody, and the searches in them."""

    def __init__(self, gallery: Gallery, size: int) -> None:
        self._gallery = gallery
        generator = np.random.default_rng(_SEED)
        people, probes = len(gallery.people), len(gallery.probes)
        self._size, count = size, people // size
        order = generator.permutation(people)
        self._galleries = np.sort(order[: count * size].reshape(count, size), axis=1)
        of_person = np.full(people + 1, -1)  # the last one is nobody, whose number is -1
        of_person[self._galleries] = np.arange(count)[:, None]
        self._own = of_person[gallery.own]
        others = generator.integers(max(1, count - 1), size=probes)
        strange = generator.integers(count, size=probes)
        self._other = np.where(self._own < 0, strange, (self._own + 1 + others) % count)
        self._mated = np.full(probes, np.inf)
        self._mated_wrong = np.full(probes, np.inf)
        self._non_mated = np.full(probes, np.inf)
        self._nearest = np.full(probes, -1)

    def try_probe(self, probe: int, vector: Vector, distances: NDArray[np.float32]) -> None:
        """Search for a probe. distances: (people,) to everybody."""
        own = self._gallery.own[probe]
        if self._own[probe] >= 0:
            found, distance = self._search(vector, distances, self._galleries[self._own[probe]])
            (self._mated if found == own else self._mated_wrong)[probe] = distance
        if self._gallery.non_mated[probe]:
            people = self._galleries[self._other[probe]]
            found, distance = self._search(vector, distances, people[people != own])
            self._nearest[probe], self._non_mated[probe] = found, distance

    def _search(
        self, vector: Vector, distances: NDArray[np.float32], people: _People
    ) -> tuple[int, float]:
        if len(people) > COMPARED:
            people = people[np.argpartition(distances[people], COMPARED)[:COMPARED]]
        return self._gallery.identify(vector, people)

    def result(self) -> Search:
        mated = np.flatnonzero(self._own >= 0)
        non_mated = np.flatnonzero(self._gallery.non_mated)
        return Search(
            self._size,
            len(self._galleries),
            self._mated[mated],
            self._mated_wrong[mated],
            mated,
            self._non_mated[non_mated],
            non_mated,
            self._nearest[non_mated],
        )
