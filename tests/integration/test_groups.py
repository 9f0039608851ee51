"""A search within groups, in every gallery: only their people, as the records say right then."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from app.gallery import Gallery
from app.gallery.memory_gallery import MemoryGallery
from app.gallery.memory_index import MemoryIndex
from app.gallery.rows import Sizes
from app.gallery.shared_gallery import SharedGallery
from app.storage import Employee, EmployeeStore, Profile
from testbed.employees import face_model, someone
from testbed.milvus import MilvusServer
from tests.integration.conftest import OpenStore

MODEL = face_model(dimension=8)
_PREFIXES = count()

Galleries = Callable[[EmployeeStore], Gallery]


@pytest.fixture(params=["memory", "milvus"])
def make(request: pytest.FixtureRequest) -> Galleries:
    """Makes a gallery on a store; a small one in memory is searched by codes already."""
    if request.param == "memory":
        return lambda store: MemoryGallery(store, MODEL, MemoryIndex(8, Sizes(exact=6, block=4)))
    server: MilvusServer = request.getfixturevalue("milvus")
    prefix = f"groups_{next(_PREFIXES)}"
    return lambda store: SharedGallery(store, server.index(prefix), MODEL)


def member(employee_id: int, *groups: str) -> Employee:
    return replace(someone(employee_id), profile=Profile(groups=groups))


def nearest(gallery: Gallery, employee_id: int, *groups: str) -> list[int]:
    """The people found for the face of an employee, nearest first."""
    people = gallery.nearest_people(someone(employee_id).vectors[0], frozenset(groups))
    return [employee.employee_id for employee, _ in people]


def test_only_people_of_the_groups_are_found(open_store: OpenStore, make: Galleries) -> None:
    store = open_store()
    gallery = make(store)
    gallery.load()
    for number in range(40):
        with gallery.writing(number):
            store.add(member(number, *["a"] * (number % 2), *["b"] * (number % 3 == 0)))
    assert nearest(gallery, 9, "a")[0] == 9
    assert nearest(gallery, 8, "a")[0] != 8
    assert nearest(gallery, 12, "a", "b")[0] == 12
    assert set(nearest(gallery, 8, "b")) <= set(range(0, 40, 3))
    assert nearest(gallery, 8, "c") == []
    (ninth,) = store.get([9])
    with gallery.writing(9):
        store.update(member(9, "c"), ninth.enrolment_id)
    assert 9 not in nearest(gallery, 9, "a", "b")
    assert nearest(gallery, 9, "c") == [9]
    assert gallery.nearest_people(someone(9).vectors[0])[0][0].employee_id == 9
