"""The gallery estimates how many strangers it lets in, and keeps α where MAX_FPIR asks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.distances import normalised, templates
from app.gallery.false_matches import FEWEST, HIGHEST, LOWEST, estimate
from app.gallery.neighbours import KEPT, find_neighbours
from app.gallery.self_measurement import Policy, SelfMeasurement
from app.storage import Employee
from models.catalogue import Catalogue

# People drawn below are about as far apart as those on photos.
MODEL = replace(Catalogue(Path("nowhere")).get("dlib"), distance_scale=0.87)
AUTO = Policy(threshold=None, max_fpir=0.01)


class Store:
    """The part of an employee store that a measurement reads."""

    def __init__(self, employees: list[Employee]) -> None:
        self.employees = employees
        self.reads = 0

    def position(self) -> int:
        return len(self.employees)

    def read_all(self) -> Iterator[Employee]:
        self.reads += 1
        yield from self.employees


def people(number: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors that spread as unevenly as those of faces do, (number, dimension)."""
    spread = np.arange(1, MODEL.dimension + 1) ** -0.4
    drawn = np.random.default_rng(seed).standard_normal((number, MODEL.dimension)) * spread
    return unit(drawn)


def again(vectors: NDArray[np.float32], distance: float, seed: int = 0) -> NDArray[np.float32]:
    """Other vectors of the same people, so far away."""
    aside = people(len(vectors), seed=seed + 1_000)
    aside = unit(aside - np.vecdot(aside, vectors)[:, None] * vectors)
    cosine = 1 - (distance / MODEL.distance_scale) ** 2 / 2
    return unit(cosine * vectors + np.sqrt(1 - cosine**2) * aside)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def employees(vectors: NDArray[np.float32], first_id: int = 1) -> list[Employee]:
    return [
        Employee(number, "Ada", "Lovelace", vector[None], MODEL.name)
        for number, vector in enumerate(vectors, first_id)
    ]


def measured(enrolled: list[Employee], policy: Policy = AUTO) -> SelfMeasurement:
    measurement = SelfMeasurement(Store(enrolled), MODEL, policy)  # type: ignore[arg-type]
    measurement.measure()
    return measurement


def let_in(vectors: NDArray[np.float32], threshold: float) -> float:
    """The share of 4,000 strangers who are let in."""
    products = people(4_000, seed=99) @ vectors.T
    distances = np.sqrt(np.maximum(2 - 2 * products, 0)) * MODEL.distance_scale
    return float((normalised(distances) < threshold).mean())


def test_neighbours_are_the_nearest_other_people() -> None:
    first, second = people(70), people(70, seed=1)
    enrolled = [
        replace(employee, vectors=np.stack([employee.vectors[0], other]), photo_hashes=(b"",))
        for employee, other in zip(employees(first), second, strict=True)
    ]
    found = find_neighbours(lambda: enrolled, MODEL, lambda _: None, most=20)
    assert (found.people, found.single, len(found.probes)) == (70, 0, 20)
    for probe, distances, others in zip(found.probes, found.distances, found.others, strict=True):
        vector = first[probe - 1]
        each = np.array([np.linalg.norm(templates(e) - vector, axis=1).min() for e in enrolled])
        each[probe - 1] = np.inf
        nearest = np.argsort(each)[:KEPT]
        assert others.tolist() == (nearest + 1).tolist()
        np.testing.assert_allclose(distances, each[nearest] * MODEL.distance_scale, atol=1e-4)


def test_who_has_one_vector_is_named_above_all_if_it_is_not_of_a_good_photo() -> None:
    enrolled = employees(people(30))
    for two in (0, 4):
        enrolled[two] = replace(enrolled[two], vectors=enrolled[two].vectors.repeat(2, axis=0))
    for number, quality in ((3, "good"), (4, "fair"), (28, "fair"), (29, "fair")):
        sample = replace(enrolled[number].samples[0], quality=quality)
        samples = (sample,) * len(enrolled[number].vectors)
        enrolled[number] = replace(enrolled[number], samples=samples)
    found = find_neighbours(lambda: enrolled[::-1], MODEL, lambda _: None)
    assert (found.single, len(found.first_single)) == (28, 20)
    assert found.first_single[:5] == (29, 30, 2, 3, 4)


def test_vectors_that_match_nobody_are_left_out() -> None:
    enrolled = employees(people(5))
    enrolled[0].vectors[0, 0] = np.nan
    enrolled[1] = replace(enrolled[1], model="another")
    found = find_neighbours(lambda: enrolled, MODEL, lambda _: None)
    assert found.people == 3
    assert set(found.probes.tolist()) == {3, 4, 5}
    assert np.isinf(found.distances[:, 2:]).all()


@pytest.mark.parametrize("number", [0, 1, 2, 5, FEWEST - 1])
def test_too_few_people_say_nothing(number: int) -> None:
    measurement = measured(employees(people(number)))
    assert measurement.latest
    assert measurement.latest.fpir is None
    assert measurement.threshold == HIGHEST


@pytest.mark.parametrize("number", [50, 300, 1000])
@pytest.mark.parametrize("share", [0, 0.02])
def test_strangers_are_let_in_as_estimated(number: int, share: float) -> None:
    vectors = people(number)
    twice = again(vectors[: round(share * number)], 0.45)
    enrolled = employees(np.concatenate([vectors, twice]))
    neighbours = find_neighbours(lambda: enrolled, MODEL, lambda _: None)
    curve = estimate(neighbours).curve
    assert curve
    for threshold in (0.75, 0.8, 0.85):
        assert let_in(vectors, threshold) <= curve.fpir(threshold).high
    assert curve.fpir(0.85).low <= let_in(vectors, 0.85)
    assert let_in(vectors, curve.threshold(0.01)) <= 0.015


def test_a_person_under_two_ids_is_named() -> None:
    vectors = people(300)
    twice = again(vectors[:6], 0.4)
    latest = measured(employees(np.concatenate([vectors, twice]))).latest
    assert latest
    pairs = {(pair.one, pair.other) for pair in latest.estimate.same}
    assert {(number, 300 + number) for number in range(1, 7)} <= pairs
    assert len(pairs) <= 8


def test_everybody_twice_moves_the_threshold_little() -> None:
    vectors = people(300)
    once = measured(employees(vectors)).threshold
    twice = measured(employees(np.concatenate([vectors, again(vectors, 0.4)]))).threshold
    assert abs(once - twice) <= 0.03


@pytest.mark.parametrize("near", [0.0, 0.3, 0.6, 0.75])
def test_invented_people_do_not_open_the_door(near: float) -> None:
    """As many as there are real ones, all about as near to one another."""
    vectors = people(200)
    crowd = again(np.repeat(vectors[:1], 200, axis=0), near / 2**0.5)
    everybody = np.concatenate([vectors, crowd])
    assert let_in(everybody, measured(employees(everybody)).threshold) <= 0.015


def test_a_fixed_threshold_stays() -> None:
    assert measured(employees(people(1_000)), Policy(0.9, 0.01)).threshold == 0.9


def test_it_is_measured_again_when_somebody_comes() -> None:
    store = Store(employees(people(100)))
    measurement = SelfMeasurement(store, MODEL, AUTO, every_s=0.01)  # type: ignore[arg-type]
    measurement.measure()
    before, reads = measurement.threshold, store.reads
    stop = Event()
    thread = Thread(target=measurement.keep_measuring, args=[stop])
    thread.start()
    sleep(0.1)
    assert store.reads == reads  # nobody came
    store.employees = employees(people(1_000))
    deadline = monotonic() + 10
    while measurement.threshold == before and monotonic() < deadline:
        sleep(0.01)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert measurement.threshold != before


def test_a_measurement_ends_when_the_process_does() -> None:
    stop = Event()

    class StoppedStore(Store):
        """The process ends while the first employee is read."""

        def read_all(self) -> Iterator[Employee]:
            for employee in super().read_all():
                stop.set()
                yield employee

    store = StoppedStore(employees(people(3_000)))
    measurement = SelfMeasurement(store, MODEL, AUTO)  # type: ignore[arg-type]
    thread = Thread(target=measurement.keep_measuring, args=[stop])
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert (store.reads, measurement.latest) == (1, None)


def test_without_a_measurement_auto_is_strict() -> None:
    assert SelfMeasurement(Store([]), MODEL, AUTO).threshold == LOWEST  # type: ignore[arg-type]


def test_vectors_that_are_not_of_unit_length_do_not_count() -> None:
    enrolled = employees(people(100))
    enrolled[3] = replace(enrolled[3], vectors=enrolled[3].vectors * np.float32(1e30))
    latest = measured(enrolled).latest
    assert latest
    assert latest.people == 99
    assert latest.fpir


def test_an_id_that_many_people_are_near_to_is_no_second_id_of_theirs() -> None:
    vectors = people(300)
    wide = Employee(1_000, "Eve", "", unit(vectors[:100] + 0.1 * people(100, seed=1)), MODEL.name)
    measurement = measured([*employees(vectors), wide])
    assert measurement.latest
    assert measurement.latest.fpir
    assert len(measurement.latest.estimate.same) >= 90
    before = measured(employees(vectors))
    assert measurement.threshold < before.threshold
