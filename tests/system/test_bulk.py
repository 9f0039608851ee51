"""All employees out of one service and into another; commands that are killed and run again."""

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import requests
from PIL import Image, ImageOps

from app.access import Role
from app.access.api_keys import new_key
from app.bootstrap import open_store
from app.storage import EmployeeStore
from app.usecases.transfer_lines import written
from testbed.employees import everything, face_model, ids, someone
from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE
from testbed.serving import ROOT, RunningService, environment, only
from tests.support.stores import store_variables

STORES = ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)]
ADMIN, ENROL = new_key([Role.ADMIN]), new_key([Role.ENROL])
SITE = new_key([Role.ADMIN], "site", ["site-a"])
EXPORT, IMPORT = "/api/v2/export", "/api/v2/import"
PEOPLE = 1_000
LINES = list(
    written((someone(number, dimension=128) for number in range(PEOPLE)), face_model(dimension=128))
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of an empty store."""
    return {"SQLITE_PATH": str(tmp_path / "employees.db")} | store_variables(request, request.param)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    keys = " ".join(line for _, line in (ADMIN, ENROL, SITE))
    folder = tmp_path_factory.mktemp("bulk")
    with RunningService(folder, API_KEYS=keys, MAX_BODY_MB="5", MAX_RECEIVED_MB="5") as running:
        yield running


def call(
    service: RunningService, method: str, path: str, key: tuple[str, str], **more: object
) -> requests.Response:
    headers = {"X-API-Key": key[0], "Content-Type": "application/x-ndjson"}
    return service.call(method, path, headers=headers, **more)


def outcomes(answer: str) -> Counter[str]:
    return Counter(json.loads(line)["result"] for line in answer.splitlines())


def test_there_and_back(service: RunningService) -> None:
    body = b"".join(LINES)
    for result in ("created", "unchanged"):
        loaded = call(service, "POST", IMPORT, ADMIN, data=body, timeout=120)
        assert loaded.status_code == 200, loaded.text
        assert outcomes(loaded.text) == {result: PEOPLE}
    exported = call(service, "GET", EXPORT, ADMIN)
    assert exported.headers["Content-Type"] == "application/x-ndjson"
    assert exported.content == body
    assert call(service, "HEAD", EXPORT, ADMIN).status_code == 200


def test_who_leaves_early_or_reads_slowly_keeps_nobody_waiting(service: RunningService) -> None:
    with requests.get(
        service.url + EXPORT, headers={"X-API-Key": ADMIN[0]}, stream=True, timeout=30
    ) as slow:
        first = next(slow.iter_lines())
        assert json.loads(first)["format"] == "employees"
        assert call(service, "GET", "/api/v2/employees?limit=1", ADMIN).status_code == 200
    assert service.call("GET", "/readyz").status_code == 200
    assert "could not be answered" not in service.log


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        (LINES[:100], 400, "bad_export"),
        ([*LINES[:99], LINES[100], LINES[-1]], 400, "bad_export"),
        ([b"{}"], 400, "bad_export"),
        ([], 400, "bad_export"),
        ([b"a" * 5_000_001], 413, "body_too_large"),
    ],
)
def test_bad_imports(service: RunningService, lines: list[bytes], status: int, code: str) -> None:
    answer = call(service, "POST", IMPORT, ADMIN, data=b"".join(lines))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_who_may(service: RunningService) -> None:
    for method, path in (("GET", EXPORT), ("POST", IMPORT)):
        for key, code in ((ENROL, "key_insufficient"), (SITE, "group_forbidden")):
            answer = call(service, method, path, key)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
    wrong = call(service, "POST", f"{IMPORT}?existing=maybe", ADMIN)
    assert (wrong.status_code, "existing" in wrong.json()["title"]) == (400, True)


def opened(store: Mapping[str, str]) -> EmployeeStore:
    return open_store(
        only(
            sqlite_path=Path(store["SQLITE_PATH"]),
            mongo_db_url=store.get("MONGO_DB_URL"),
            mongo_db_timeout_s=20,
        )
    )


def killed(store: Mapping[str, str], after: int, *words: str) -> None:
    """Run a command, and kill it once so many people are stored."""
    with closing(opened(store)) as employees:
        process = start(store, *words)
        deadline = time.monotonic() + 120
        while employees.count() < after:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate()


def start(store: Mapping[str, str], *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "entry", *words],
        cwd=ROOT,
        env=environment(**{**store, "LOG_LEVEL": "warning"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_import_that_is_killed_continues(store: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "export"
    file.write_bytes(b"".join(LINES))
    killed(store, 100, "import", str(file))
    with closing(opened(store)) as employees:
        stored = len(ids(employees.read_all()))
        assert 100 <= stored < PEOPLE
        output, errors = start(store, "import", str(file)).communicate(timeout=120)
        assert outcomes(output) == {"unchanged": stored, "created": PEOPLE - stored}, errors
        assert [each[0] for each in everything(employees)] == list(range(PEOPLE))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Forty ids with two faces between them, photos without a face, and entries that are wrong."""
    for number in range(40):
        picture = Image.open((GRACE_HOPPER, ASTRONAUT)[number % 2]).convert("RGB")
        picture = ImageOps.mirror(picture) if number % 4 > 1 else picture
        person = tmp_path / f"people/{number}_Ada_Lovelace the {number}th"
        person.mkdir(parents=True)
        picture.resize((400 + number, 400 + number)).save(person / "a.jpg")
        if number % 10 == 0:
            Image.open(WITHOUT_FACE[1]).save(person / "b.png")
    for name in ("Grace Hopper", "50_No_Face", "51_Nothing"):
        (tmp_path / "people" / name).mkdir()
    for name, photo in (("cat", WITHOUT_FACE[0]), ("cup", WITHOUT_FACE[1])):
        Image.open(photo).save(tmp_path / f"people/50_No_Face/{name}.png")
    return tmp_path / "people"


def test_an_enrolment_that_is_killed_continues(store: dict[str, str], folders: Path) -> None:
    report = folders.parent / "report.csv"
    words = ("enrol", str(folders), "--report", str(report))
    killed(store, 5, *words)
    killed(store, 15, *words)
    with closing(opened(store)) as employees:
        before = {each.employee_id: each.enrolment_id for each in employees.read_all()}
        assert 15 <= len(before) < 40
        process = start(store, *words)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 1, errors
        assert f"created: {40 - len(before)}, unchanged: {len(before)}" in output
        assert "refused: 3" in output
        after = {each.employee_id: each for each in employees.read_all()}
    assert list(after) == list(range(40))
    assert {number: after[number].enrolment_id for number in before} == before
    assert {len(each.vectors) for each in after.values()} == {1}
    assert (after[7].name, after[7].surname) == ("Ada", "Lovelace the 7th")
    with report.open(newline="") as file:
        rows = [(row["id"], Path(row["photo"]).name, row["code"]) for row in csv.DictReader(file)]
    left_out = [(str(number), "b.png", "no_face") for number in (0, 10, 20, 30)]
    wrong = [("Grace Hopper", "", "bad_entry"), ("51", "", "bad_entry")]
    none = [("50", f"{name}.png", "no_face") for name in ("cat", "cup")]
    assert sorted(rows) == sorted([*left_out, *wrong, *none])
    assert report.stat().st_mode & 0o777 == 0o600


def test_a_list_is_tried_first(tmp_path: Path) -> None:
    store = {"SQLITE_PATH": str(tmp_path / "employees.db")}
    file = tmp_path / "list.csv"
    rows = ["id,name,surname,photo,group", f"7,Grace,Hopper,{GRACE_HOPPER},navy"]
    rows += [f"7,Grace,Hopper,{GRACE_HOPPER},staff", f"8,Eileen,Collins,{ASTRONAUT},"]
    rows += ["9,Nobody,,none.jpg,", "x,Nobody,,none.jpg,", "10,Ada,,a.jpg,", "10,Eve,,b.jpg,"]
    file.write_text("\n".join(rows))
    words = ("enrol", str(file), "--report", str(tmp_path / "report.csv"))
    for extra, stored in ((["--dry-run"], []), ([], [7, 8])):
        process = start(store, *words, *extra)
        output, errors = process.communicate(timeout=60)
        assert "created: 2" in output, errors
        assert "refused: 3" in output
        with closing(opened(store)) as employees:
            people = list(employees.read_all())
        assert ids(people) == stored
    assert people[0].profile.groups == ("navy", "staff")
    reported = (tmp_path / "report.csv").read_text()
    assert "No such file" in reported
    assert "must be a whole number" in reported
    assert "several names" in reported
    process = start(store, "employees", "list", "--group", "navy")
    assert process.communicate(timeout=60)[0] == "7\tGrace\tHopper\tnavy,staff\t1\n"
