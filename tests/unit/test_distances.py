"""The distance of a login: normalised by others nearby; several photos count as their mean, too."""

import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gallery.distances import COMPARED, normalised, ranked, templates
from app.storage import Employee, Sample
from testbed.employees import face_model
from tests.support.features import DIMENSION, at_distance, random_vector

MODEL = face_model(dimension=DIMENSION, distance_scale=2.15)

distance = st.floats(0, 4.3) | st.just(math.inf)
some = st.lists(distance, min_size=1, max_size=3 * COMPARED)
many = st.lists(distance, min_size=COMPARED - 1, max_size=3 * COMPARED)


def of(distances: list[float]) -> float:
    return float(normalised(np.array(distances)))


@given(some)
def test_it_is_never_below_the_plain_distance_so_it_lets_nobody_in(distances: list[float]) -> None:
    assert of(distances) >= min(distances)


@given(some)
def test_it_is_finite_if_somebody_is_comparable(distances: list[float]) -> None:
    assert math.isfinite(of(distances)) == math.isfinite(min(distances))


@given(st.lists(distance, min_size=1, max_size=COMPARED - 1))
def test_it_is_plain_with_few_people(distances: list[float]) -> None:
    assert of(distances) == min(distances)


@given(st.lists(st.floats(1, 4.3), min_size=COMPARED - 1), st.floats(0, 1))
def test_it_is_plain_if_all_others_are_far(others: list[float], nearest: float) -> None:
    assert of([nearest, *others]) == nearest


@given(many, st.data())
def test_it_grows_with_the_nearest_persons_distance(
    others: list[float], data: st.DataObject
) -> None:
    one, other = sorted(
        data.draw(st.lists(st.floats(0, min([*others, 4.3])), min_size=2, max_size=2))
    )
    assert of([one, *others]) <= of([other, *others])


@given(many, st.floats(0, 1), st.floats(0.1, 1))
def test_it_grows_as_others_come_nearer(others: list[float], nearest: float, share: float) -> None:
    far = [max(each, nearest) for each in others]
    near = [max(each * share, nearest) for each in others]
    assert of([nearest, *near]) >= of([nearest, *far]) * (1 - 1e-12)


@given(some, st.randoms())
def test_the_order_of_people_and_those_far_off_do_not_matter(
    distances: list[float], random: Random
) -> None:
    shuffled = distances.copy()
    random.shuffle(shuffled)
    assert of(shuffled) == of(distances)
    assert of(sorted(distances)[:COMPARED]) == of(distances)


def test_somebody_who_is_as_near_to_many_people_is_none_of_them() -> None:
    assert of([0.6] * COMPARED) == pytest.approx(1)
    assert of([0.0] * COMPARED) == 1


def test_relatives_and_a_second_id_do_not_change_the_distance() -> None:
    assert of([0.5, 0.5, 0.55, *[1.1] * COMPARED]) == 0.5


def enrolled(*vectors: list[float], photos: bool = True) -> Employee:
    hashes = (b"",) * len(vectors) if photos else ()
    matrix = np.array(vectors, np.float32)
    return Employee(1, "Ada", "Lovelace", matrix, "dlib", photo_hashes=hashes)


def test_a_vector_that_a_client_sent_is_not_averaged_with_photos() -> None:
    samples = Sample(photo_hashes=1), Sample()
    mixed = replace(
        enrolled(random_vector(1), random_vector(2)), photo_hashes=(b"",), samples=samples
    )
    assert len(templates(mixed)) == 2
    assert len(templates(enrolled(random_vector(1), random_vector(2)))) == 3


def distance_to(employee: Employee, probe: list[float]) -> float:
    ((_, found),) = ranked([employee], np.array(probe, np.float32), MODEL)
    return found


def test_photos_of_a_person_count_as_their_mean_too() -> None:
    photo, another = random_vector(1), at_distance(random_vector(1), 0.4)
    middle = np.add(photo, another)
    middle /= np.linalg.norm(middle)
    probe = middle.tolist()
    assert distance_to(enrolled(photo, another), probe) == pytest.approx(0, abs=1e-3)
    nearest = np.linalg.norm(middle - photo) * MODEL.distance_scale
    assert distance_to(enrolled(photo), probe) == pytest.approx(nearest)
    assert distance_to(enrolled(photo, another, photos=False), probe) == pytest.approx(nearest)


@given(st.integers(0, 1_000), st.integers(1, 6))
def test_an_employee_is_never_farther_than_their_nearest_vector(seed: int, number: int) -> None:
    vectors = [at_distance(random_vector(seed), 0.2, each) for each in range(number)]
    probe = at_distance(random_vector(seed), 0.3, seed)
    apart = np.linalg.norm(np.subtract(vectors, probe), axis=1).min() * MODEL.distance_scale
    assert distance_to(enrolled(*vectors), probe) <= apart + 1e-4
