"""What the gallery says of itself: in /readyz for admins, in a command, and as α."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.access import Role
from app.access.api_keys import new_key
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from testbed.employees import fill
from testbed.serving import ready_app
from tests.support.commands import run
from tests.support.features import alike, at_distance
from tests.support.waiting import eventually


def enrol(folder: Path, number: int, *, twice: int = 0) -> Path:
    """A store of people, of whom the first ones have a second id."""
    vectors = alike(number)
    again = [at_distance(vector, 0.1, seed) for seed, vector in enumerate(vectors[:twice])]
    everybody = np.array([*vectors, *again], np.float32)
    path = folder / "employees.db"
    SqliteStore(path).close()
    fill(
        path,
        (
            Employee(employee_id, "Ada", "Lovelace", vector[None], "dlib")
            for employee_id, vector in enumerate(everybody)
        ),
    )
    return path


def test_admins_alone_see_it_in_readyz(tmp_path: Path) -> None:
    enrol(tmp_path, 100)
    keys = {role: new_key([role], role.value) for role in (Role.LOGIN, Role.ADMIN)}
    app = ready_app(tmp_path, api_keys=" ".join(line for _, line in keys.values()))

    def ready(role: Role) -> dict[str, object]:
        answer = app.test_client().get("/readyz", headers={"X-API-Key": keys[role][0]})
        found: dict[str, object] = answer.get_json()
        return found

    seen = eventually(lambda: ready(Role.ADMIN).get("gallery"))
    assert isinstance(seen, dict)
    assert seen["employees"] == seen["with_one_vector"] == seen["compared"] == 100
    assert seen["threshold"] == 0.8
    assert seen["fpir"]["low"] <= seen["fpir"]["estimate"] <= seen["fpir"]["high"]
    assert "gallery" not in ready(Role.LOGIN)
    assert "gallery" not in app.test_client().get("/readyz").get_json()
    app.extensions["service"].stop()


def test_auto_is_in_force_before_the_first_login(tmp_path: Path) -> None:
    enrol(tmp_path, 300)
    app = ready_app(tmp_path, login_match_threshold="auto")
    service = app.extensions["service"]
    assert 0.6 <= service.threshold < 0.8
    assert service.measurement.fpir is not None
    service.stop()


def test_auto_with_few_people_is_the_default(tmp_path: Path) -> None:
    enrol(tmp_path, 5)
    app = ready_app(tmp_path, login_match_threshold="auto")
    service = app.extensions["service"]
    assert service.threshold == 0.8
    assert service.measurement.fpir is None
    service.stop()


def test_the_report(tmp_path: Path) -> None:
    path = enrol(tmp_path, 100, twice=3)
    done = run("gallery", "report", SQLITE_PATH=str(path))
    assert done.returncode == 0, done.output
    assert "employees by model: dlib 103" in done.stdout
    assert "with one vector: 103 of 103" in done.stdout
    assert "<- in force" in done.stdout
    assert "likely one person under two ids: 3 pairs" in done.stdout
    assert "  0 and 100, distance 0.215" in done.stdout


def test_the_report_for_programs(tmp_path: Path) -> None:
    path = enrol(tmp_path, 100, twice=3)
    done = run("gallery", "report", "--json", SQLITE_PATH=str(path), LOGIN_MATCH_THRESHOLD="auto")
    report = json.loads(done.stdout)
    pairs = {(each["one"], each["other"]) for each in report["same_person"]}
    assert pairs == {(0, 100), (1, 101), (2, 102)}
    assert report["threshold"] == report["auto"] < 0.8
    shares = [each["estimate"] for each in report["fpir_by_threshold"]]
    assert shares == sorted(shares)


@pytest.mark.parametrize("number", [0, 1, 5])
def test_the_report_of_few_people(tmp_path: Path, number: int) -> None:
    path = enrol(tmp_path, number)
    done = run("gallery", "report", SQLITE_PATH=str(path))
    assert done.returncode == 0, done.output
    assert f"30 employees or more can tell how many strangers are let in; {number} cannot." in (
        done.stdout
    )
    with closing(SqliteStore(path)) as store:
        assert store.count() == number
