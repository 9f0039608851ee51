"""Liveness sessions, exports, imports, audit entries and the system, with both Python clients."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app.access import Role
from app.access.api_keys import new_key
from app.version import VERSION
from image_registration import (
    AccessDenied,
    Client,
    Conflict,
    InvalidRequest,
    NewEmployee,
    NoAnswer,
    NotAlive,
    Retry,
    SessionGone,
)
from testbed import company
from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import RunningService
from tests.support import facenet_weights
from tests.support.both_clients import Calls
from tests.support.faulty_proxy import CUT, CUT_ANSWER, Answer, FaultyProxy, problem
from tests.support.features import random_vector
from tests.support.waiting import eventually

ADMIN, ADMIN_LINE = new_key([Role.ADMIN])
ENROL, ENROL_LINE = new_key([Role.ENROL])
QUICK = Retry(attempts=4, deadline_s=20, backoff_s=0.01)
PEOPLE = 200  # more than a piece of an export holds


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("operators")
    settings = {"API_KEYS": f"{ADMIN_LINE} {ENROL_LINE}", "AUDIT_LOG": str(folder / "audit.log")}
    with RunningService(folder, **settings) as running:
        with Client(running.url, ADMIN) as client:
            people = (
                NewEmployee(employee_id=n, name="Ada", feature_vectors=[random_vector(n)])
                for n in range(PEOPLE)
            )
            assert all(each.enrolled for each in client.enrol_many(people))
        yield running


@pytest.fixture
def proxy(service: RunningService) -> Iterator[FaultyProxy]:
    with FaultyProxy(service.url) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client(proxy: FaultyProxy, request: pytest.FixtureRequest) -> Calls:
    """A client that calls through the proxy, with a key for everything."""
    return Calls(bool(request.param), proxy.url, api_key=ADMIN, retry=QUICK)


@pytest.fixture
def file(client: Calls, tmp_path: Path) -> Path:
    """An export of everybody."""
    client.export_employees(tmp_path / "people.export")
    return tmp_path / "people.export"


def test_a_liveness_session_is_for_one_login(client: Calls) -> None:
    session = client.open_liveness_session()
    assert session.moves
    left = session.expires_at - datetime.now(UTC)
    assert timedelta(seconds=60) < left < timedelta(seconds=180)
    frames = [ASTRONAUT] * 15
    with pytest.raises(NotAlive):
        client.verify(1, ASTRONAUT, frames=frames, session_id=session.session_id)
    with pytest.raises(SessionGone):
        client.identify(ASTRONAUT, frames=frames, session_id=session.session_id)


def test_an_export_is_written_and_imported(client: Calls, tmp_path: Path) -> None:
    file, steps = tmp_path / "people.export", list[int]()
    assert client.export_employees(str(file), progress=steps.append) == PEOPLE
    assert steps == sorted(steps)
    assert steps[-1] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    client.delete_employee(7)
    client.change_employee(8, surname="L")
    steps.clear()
    results = client.import_employees(file, existing="skip", progress=steps.append)
    assert steps[-1] == file.stat().st_size
    assert len(results) == PEOPLE
    unusual = {each.employee_id: each.result for each in results if each.result != "unchanged"}
    assert unusual == {7: "created", 8: "skipped"}
    refused = [each for each in client.import_employees(file) if each.result == "refused"]
    assert [(each.line, each.employee_id, each.code) for each in refused] == [
        (10, 8, "employee_exists")
    ]
    results = client.import_employees(file, existing="replace")
    assert [each.employee_id for each in results if each.result == "replaced"] == [8]


def test_an_export_is_repeated_until_it_is_whole(
    client: Calls, proxy: FaultyProxy, file: Path, tmp_path: Path
) -> None:
    whole = file.read_bytes()
    lines = {"Content-Type": "application/x-ndjson"}
    changed = whole.replace(b"Ada", b"Eve", 1)
    cut_off = [whole[: len(whole) // 2], whole[: whole.rindex(b"\n", 0, -1) + 1], b"", changed]
    for broken in cut_off:
        proxy.script = [Answer(200, broken, lines), CUT, problem(503, "store_unavailable", 0)]
        assert client.export_employees(tmp_path / "again.export") == PEOPLE
        assert not proxy.script
        assert (tmp_path / "again.export").read_bytes() == whole


def test_a_file_is_kept_if_no_export_replaces_it(
    client: Calls, proxy: FaultyProxy, file: Path
) -> None:
    whole = file.read_bytes()
    proxy.script = [Answer(200, whole[:1000], {})] * 4
    with pytest.raises(NoAnswer, match="ended early"):
        client.export_employees(file)
    assert file.read_bytes() == whole
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_an_import_is_repeated(client: Calls, proxy: FaultyProxy, file: Path) -> None:
    client.delete_employee(7)
    proxy.script = [problem(503, "overloaded", 0), CUT, CUT_ANSWER]
    results = client.import_employees(file)
    assert {each.result for each in results} == {"unchanged"}  # the attempt before created one
    assert client.page().total == PEOPLE


def test_nothing_is_imported_of_a_damaged_export(client: Calls, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InvalidRequest, match="nothing was imported"):
        client.import_employees(file)


def test_audit_entries_go_on_from_page_to_page(client: Calls) -> None:
    client.change_employee(9, surname="Lovelace")
    page = client.audit_page(limit=2, employee_id=9)
    assert len(page.entries) == 2
    assert page.next_cursor
    entries = client.audit_entries(limit=2, employee_id=9, outcome="ok")
    actions = [each.action for each in entries]
    assert len(actions) > 4
    assert "change" in actions
    assert actions[-1] == "put"  # the first of all
    assert entries[-1].facts["employee_id"] == 9
    assert abs(datetime.now(UTC) - entries[0].time) < timedelta(minutes=5)
    with pytest.raises(Conflict) as raised:
        client.audit_page(cursor=f"{'9' * 9}-{'0' * 16}")
    assert raised.value.code == "cursor_expired"


def test_the_gallery_is_told(client: Calls) -> None:
    measured = eventually(client.gallery)
    assert 0 <= measured.with_one_vector == measured.employees <= PEOPLE
    assert len(measured.first_with_one_vector) == min(measured.with_one_vector, 20)
    assert (measured.threshold, measured.max_fpir) == (0.8, 0.01)


def test_pairs_and_shares_of_the_gallery_are_told(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        company.found(service, 30)
    with RunningService(tmp_path) as service, Client(service.url) as client:
        measured = eventually(client.gallery)  # started anew, it measures at once
    numbers = {(each.one, each.other) for each in measured.same_person}
    assert numbers == {(company.FIRST + n, company.FIRST + 30 + n) for n in range(company.TWICE)}
    shares = [each.estimate for each in measured.fpir_by_threshold]
    assert shares == sorted(shares)
    assert measured.fpir.estimate == shares[-1]


def test_the_system_is_told(client: Calls) -> None:
    system = client.system()
    assert (system.version, system.is_ready, system.employees) == (VERSION, True, PEOPLE)
    assert (system.model.name, system.model.dimension) == ("dlib", 128)
    assert system.second_model is None
    assert system.parts["database"].state == "ok"
    assert system.limits["max_vectors_per_employee"] == 100
    assert system.load["request_slots"] > 0


def test_a_change_of_the_model_is_told(tmp_path: Path) -> None:
    weights = tmp_path / "own.pt"
    second = {"FACENET_WEIGHTS_SHA256": facenet_weights.write(weights)}
    second |= {"FACENET_WEIGHTS": str(weights), "SECOND_FACE_MODEL": "facenet"}
    with RunningService(tmp_path, SECOND_MODEL_UNTIL="2999-12-31", **second) as service:
        with Client(service.url) as client:
            client.enrol(NewEmployee(employee_id=1, name="Grace", photos=[GRACE_HOPPER]))
            by_vector = [random_vector(2)]
            client.enrol(NewEmployee(employee_id=2, name="Ada", feature_vectors=by_vector))
        for is_async in (False, True):
            calls = Calls(is_async, service.url)
            told = calls.system().second_model
            assert (told.enrolled, told.until) == (1, date(2999, 12, 31))
            (left,) = calls.employees(second_model="missing")
            assert (left.employee_id, left.second_model) == (2, None)
            assert calls.get_employee(1).second_model == told.name


def test_the_key_is_told_what_it_may_do(proxy: FaultyProxy) -> None:
    me = Calls(False, proxy.url, api_key=ENROL).me()
    assert (me.keys_required, me.roles, me.groups) == (True, ("enrol",), None)
    assert me.key_id
    assert "fraud" in me.checks


def test_only_an_admin_may(proxy: FaultyProxy, tmp_path: Path) -> None:
    client = Calls(False, proxy.url, api_key=ENROL, retry=QUICK)
    for call in (client.system, client.audit_page):
        with pytest.raises(AccessDenied):
            call()
    with pytest.raises(AccessDenied):
        client.export_employees(tmp_path / "people.export")
    assert not [*tmp_path.iterdir()]
