"""Somebody else writes between what a request reads and what it writes: nothing of it is lost."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from app.audit import AuditLog
from app.gallery.memory_gallery import MemoryGallery
from app.recognition.recogniser import Recogniser
from app.storage import Employee, EmployeeStore, NoSuchEmployee, Profile
from app.usecases.enrolment import Enrolment, EnrolmentRequest
from app.usecases.transfer import Existing, Transfer
from app.usecases.transfer_lines import check
from testbed.employees import someone
from testbed.serving import wait_until_loaded
from tests.integration.conftest import OpenStore
from tests.support.services import service_with

DIMENSION = 128
READS = {"enrolment_id", "get"}
PROFILE = Profile("HR-1", {"desk": 7}, ("night-shift",), enrolled_at=1, updated_at=1)
COLLEAGUE = replace(someone(1, dimension=DIMENSION), profile=PROFILE, enrolment_id="colleague's")


class Overtaken:
    """A store; somebody else does something once, right after its n-th call of such a method."""

    def __init__(
        self, store: EmployeeStore, methods: set[str], call: int, then: Callable[[], object]
    ) -> None:
        self._store = store
        self._methods = methods
        self._left = call
        self._then = then

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._store, name)
        if name not in self._methods:
            return method

        def overtaken(*arguments: object, **named: object) -> object:
            answer = method(*arguments, **named)
            self._left -= 1
            if not self._left:
                self._then()
            return answer

        return overtaken


Overtake = Callable[[Callable[[EmployeeStore], object]], EmployeeStore]


@pytest.fixture(params=[1, 2])
def overtake(request: pytest.FixtureRequest, open_store: OpenStore) -> Overtake:
    """Returns a store in which a colleague writes after the first read, or the second one."""

    def overtake(write: Callable[[EmployeeStore], object]) -> EmployeeStore:
        store, colleague = open_store(), open_store()
        overtaken = Overtaken(store, READS, request.param, lambda: write(colleague))
        return cast(EmployeeStore, overtaken)

    return overtake


Enrol = Callable[[EmployeeStore], Enrolment]


@pytest.fixture
def enrol(recogniser: Recogniser) -> Iterator[Enrol]:
    """Makes an Enrolment of a service that runs on a store."""
    with ExitStack() as running:

        def enrol(store: EmployeeStore) -> Enrolment:
            service = service_with(
                store, recogniser, lambda model: MemoryGallery(store, model), catch_up_s=60
            )
            service.start()
            running.callback(service.stop)
            wait_until_loaded(service)
            return Enrolment(service, AuditLog(None))

        yield enrol


def new_vectors() -> EnrolmentRequest:
    vector = np.random.default_rng(5).normal(size=DIMENSION).tolist()
    return EnrolmentRequest(1, "Grace", "Hopper", vectors=[vector])


def stored(store: EmployeeStore) -> Employee:
    (employee,) = store.get([1])
    return employee


@pytest.mark.parametrize("overtake", [1], indirect=True)
def test_a_replacement_keeps_what_was_enrolled_meanwhile(
    overtake: Overtake, enrol: Enrol, open_store: OpenStore
) -> None:
    """Either nobody was there yet, or the colleague's groups and fields stay."""
    enrolment = enrol(overtake(lambda colleague: colleague.add(COLLEAGUE)))
    with suppress(NoSuchEmployee):
        enrolment.replace(new_vectors())
    assert replace(stored(open_store()).profile, updated_at=1) == PROFILE


def test_a_replacement_keeps_what_was_changed_meanwhile(
    overtake: Overtake, enrol: Enrol, open_store: OpenStore
) -> None:
    open_store().add(replace(COLLEAGUE, profile=Profile(enrolled_at=1), enrolment_id="first"))
    enrolment = enrol(overtake(lambda colleague: colleague.update(COLLEAGUE, "first")))
    enrolment.replace(new_vectors())
    kept = stored(open_store())
    assert kept.name == "Grace"
    assert replace(kept.profile, updated_at=1) == PROFILE


def test_a_put_keeps_what_was_enrolled_meanwhile(
    overtake: Overtake, enrol: Enrol, open_store: OpenStore
) -> None:
    """Somebody is enrolled, and enrolled again with fields while the put looks at the record."""
    open_store().add(replace(COLLEAGUE, profile=Profile(enrolled_at=1), enrolment_id="first"))

    def again(colleague: EmployeeStore) -> None:
        colleague.remove(1)
        colleague.add(COLLEAGUE)

    enrolment = enrol(overtake(again))
    put = enrolment.put(new_vectors())
    kept = stored(open_store())
    assert kept.enrolment_id == put.employee.enrolment_id
    assert replace(kept.profile, updated_at=1) == PROFILE


def test_the_answer_to_an_enrolment_is_that_of_its_own(enrol: Enrol, open_store: OpenStore) -> None:
    """A client that goes on with another's enrolment would undo a change that it never saw."""
    store, colleague = open_store(), open_store()
    overtaken = Overtaken(store, {"add"}, 1, lambda: colleague.replace(COLLEAGUE))
    put = enrol(cast(EmployeeStore, overtaken)).put(request := new_vectors())
    assert (put.employee.enrolment_id, put.is_new) == (request.enrolment_id, True)
    assert stored(colleague).enrolment_id == COLLEAGUE.enrolment_id


@pytest.mark.parametrize("overtake", [1], indirect=True)
@pytest.mark.parametrize("existing", [Existing.SKIP, Existing.REPLACE])
def test_an_import_meets_somebody_enrolled_meanwhile(
    overtake: Overtake, recogniser: Recogniser, open_store: OpenStore, existing: Existing
) -> None:
    imported = replace(COLLEAGUE, name="Grace", profile=Profile(), enrolment_id="imported")
    model = recogniser.model
    source = open_store()
    source.add(imported)
    lines = list(Transfer(source, model, AuditLog(None)).export())
    source.remove(1)
    store = overtake(lambda colleague: colleague.add(COLLEAGUE))
    checked = check(lines, model)
    (result,) = Transfer(store, model, AuditLog(None)).load(lines, checked, existing)
    kept = stored(open_store())
    if existing is Existing.SKIP:
        assert (result.result, kept.name) == ("skipped", COLLEAGUE.name)
    else:
        assert (result.result, kept.name) == ("replaced", "Grace")
        assert kept.profile.groups == ()
