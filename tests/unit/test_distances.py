"""The normalised distance: larger in a crowd, never smaller, and the same with few people."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gallery.distances import COMPARED, normalised

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


def test_relatives_and_a_second_id_lock_nobody_out() -> None:
    assert of([0.5, 0.5, 0.55, *[1.1] * COMPARED]) == 0.5
