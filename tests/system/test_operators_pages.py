"""Every command of the pages for operators runs, and does what the page says."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from app.version import VERSION
from testbed.employees import VECTOR_KEY
from testbed.people import EILEEN, GRACE
from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import ROOT, RunningService, free_port
from tests.support import facenet_weights
from tests.support.compreface import KEY, CompreFaceServer
from tests.support.operator_shell import Operator, Page
from tests.support.starting import start
from tests.support.stores import store_variables
from tools.liveness_service import LivenessService

STORES = ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongod)]

Settings = Mapping[str, str]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Settings:
    """The settings of a store; nothing for SQLite."""
    return store_variables(request, request.param)


def test_backup(store: Settings, tmp_path: Path) -> None:
    page = Page("backup.md")
    with RunningService(tmp_path, **store) as service:
        operator = Operator(tmp_path, service)
        GRACE.enrol(service)
        assert operator.run(page.next("backup people")).startswith("1 employee of ")
        GRACE.remove(service)
        EILEEN.enrol(service)
        assert "and nobody else" in operator.run(page.next("restore people"))
        assert GRACE.is_known_to(service)
        assert not EILEEN.is_known_to(service)
        assert "0 of 1 employees must enrol again" in operator.run(page.next("drill"))
        operator.run(page.next("oc exec"))
        assert (operator.folder / "people.backup").stat().st_size > 512
        assert not list((tmp_path / "pod/tmp").iterdir())
    assert not page.blocks


def test_bulk(store: Settings, tmp_path: Path) -> None:
    page = Page("bulk.md")
    with RunningService(tmp_path, **store) as service:
        operator = Operator(tmp_path, service)
        person = operator.folder / "people/17_Grace_Hopper"
        person.mkdir(parents=True)
        shutil.copy(GRACE_HOPPER, person)
        assert "created: 1" in operator.run(page.next("enrol people/"))
        probe = {"files": {"photo": GRACE_HOPPER.read_bytes()}}
        found = service.call("POST", "/api/v2/identifications", **probe)
        assert found.json()["match"]["employee_id"] == 17
        assert "created: 1" in operator.run(page.next("openssl"))
        assert '"result": "unchanged"' in operator.run(page.next("curl"))
        shown = operator.run(page.next("employees list"))
        assert "17\tGrace\tHopper\t\t1\n" in shown
        assert service.call("POST", "/api/v2/identifications", **probe).status_code == 406
        with CompreFaceServer() as compreface:
            compreface.add(1, "18_Eileen_Collins", ASTRONAUT.read_bytes())
            (operator.folder / "compreface.key").write_text(KEY)
            block = page.next("compreface").replace("http://localhost:8000", compreface.address)
            assert "created: 1" in operator.run(block)
        person.rename(operator.folder / "known_people")
        (operator.folder / "known_people" / GRACE_HOPPER.name).rename(
            operator.folder / "known_people/Grace Hopper.jpg"
        )
        assert "created: 1" in operator.run(page.next("known.csv"))
        shown = operator.run("flask --app entry employees list")
        assert "1\tGrace\tHopper\t\t1\n18\tEileen\tCollins\t\t1\n" in shown
    assert not page.blocks


def test_upgrading(store: Settings, tmp_path: Path) -> None:
    page = Page("upgrading.md")
    with RunningService(tmp_path, **store) as service:
        operator = Operator(tmp_path, service)
        GRACE.enrol(service)
        assert json.loads(operator.run(page.next()).splitlines()[0]) == {"version": VERSION}
        EILEEN.enrol(service)
        assert f'"{VERSION}"' in operator.run(page.next("oc apply"))
        operator.run(page.next("helm rollback"))
        operator.run(page.next("get_all"))
        enrolled = (operator.folder / "enrolled.txt").read_text()
        assert enrolled == "1 Grace x\n2 Eileen x\n"
        assert GRACE.is_known_to(service)
        assert not EILEEN.is_known_to(service)
        assert "0 of 1 employees must enrol again" in operator.run(page.next("to-enrol-again"))
    assert not page.blocks


def test_api_keys(tmp_path: Path) -> None:
    page, file = Page("keys.md", "API keys"), tmp_path / "keys.txt"
    operator = Operator(tmp_path, API_KEYS_FILE=str(file))
    made = {
        role: operator.run(f"flask --app entry keys new --role {role} --id frontend-{name} 2>&-")
        for role, name in (("login", "old"), ("enrol", "office"))
    }
    keys = {role: lines.splitlines()[0] for role, lines in made.items()}
    file.write_text("".join(lines.splitlines()[1] + "\n" for lines in made.values()))
    with RunningService(tmp_path, API_KEYS_FILE=str(file)) as service:
        replace(GRACE, key=keys["enrol"]).enrol(service)
        operator.run(page.next("keys new"))
        new = (operator.folder / "new-key").read_text().splitlines()[0]
        assert (operator.folder / "new-key").stat().st_mode & 0o077 == 0
        for key in (keys["login"], new):
            assert replace(GRACE, key=key).is_known_to(service)
        operator.run(page.next("sed"))
        assert replace(GRACE, key=new).is_known_to(service)
        headers = {"X-API-Key": keys["login"]}
        refused = service.call("POST", "/api/find_match", json={}, headers=headers)
        assert refused.status_code == 401
        operator.run(page.next("oc create"))
    assert not page.blocks


@pytest.mark.parametrize(
    ("store", "old"),
    [("sqlite", ""), pytest.param("mongodb", VECTOR_KEY, marks=pytest.mark.mongod)],
    indirect=["store"],
    ids=["sqlite, plain", "mongodb, encrypted"],
)
def test_vector_keys(old: str, store: Settings, tmp_path: Path) -> None:
    page, secret = Page("keys.md", "VECTOR_KEYS"), tmp_path / "secret.env"
    shutil.copy(ROOT / "openshift/secret.example.env", secret)
    operator = Operator(tmp_path, VECTOR_KEYS=old)

    def restarted() -> RunningService:
        settings = dict(store) | {"VECTOR_KEYS": operator.variables["VECTOR_KEYS"]}
        service = RunningService(tmp_path, **settings)
        operator.variables |= service.environment | {"PATH": operator.variables["PATH"]}
        return service

    with restarted() as service:
        GRACE.enrol(service)
    operator.run(page.next("NEW="))
    operator.run(page.next("secret.env"))
    assert f"VECTOR_KEYS={operator.variables['VECTOR_KEYS']}\n" in secret.read_text()
    with restarted() as service:
        assert GRACE.is_known_to(service)
        operator.run(page.next('VECTOR_KEYS="$NEW $OLD"'))
        with restarted() as other:
            EILEEN.enrol(other)
            assert EILEEN.is_known_to(service)  # which began before the second step
            operator.run(page.next("vectors rotate"))
            assert GRACE.is_known_to(service)
            assert GRACE.is_known_to(other)
    operator.run(page.next('VECTOR_KEYS="$NEW"'))
    with restarted() as service:
        assert GRACE.is_known_to(service)
        assert EILEEN.is_known_to(service)
    former = dict(store) | {"SQLITE_PATH": str(tmp_path / "employees.db"), "VECTOR_KEYS": old}
    assert "which VECTOR_KEYS does not hold" in start(**former)[1]
    assert not page.blocks


def test_runbooks(tmp_path: Path) -> None:
    page = Page("runbooks.md")
    path, away = tmp_path / "employees.db", tmp_path / "away.db"
    with ExitStack() as running:
        liveness = running.enter_context(LivenessService())
        settings = {"LIVENESS_SERVICE_URL": liveness.url, "AUDIT_LOG": str(tmp_path / "audit.log")}
        service = running.enter_context(RunningService(tmp_path, **settings))
        operator = Operator(tmp_path, service)
        GRACE.enrol(service)
        assert not EILEEN.is_known_to(service)
        path.rename(away)
        assert service.call("GET", "/api/get_all/1/1").status_code == 503
        assert "OPEN TO EVERYONE" in operator.run(page.next("--since=15m"))
        assert "it was moved or deleted" in operator.run(page.next("readyz"))
        operator.run(page.next("Cannot start"))
        away.rename(path)
        assert service.call("GET", "/api/get_all/1/1").status_code == 200
        assert 'code="store_unavailable"' in operator.run(page.next("errors_total"))
        operator.run(page.next("unexpected error"))
        for part in ("oc get hpa", "maxReplicas"):
            operator.run(page.next(part))
        assert 'stage="recognition"' in operator.run(page.next("stage_seconds"))
        operator.run(page.next("gallery report"))
        assert "needed_below" in operator.run(page.next("needed_below"))
        for part in ("not_alive", "--previous", "rollout restart"):
            operator.run(page.next(part))
        assert "it was moved or deleted" in operator.run(page.next("store_unavailable"))
        assert "GALLERY_INDEX is memory" in operator.run(page.next("gallery check"))
        operator.run(page.next("liveness_check"))
        assert "lines" in operator.run(page.next("audit verify"))
    assert not page.blocks


def test_operations(tmp_path: Path) -> None:
    page = Page("operations.md")
    port = str(free_port())
    operator = Operator(tmp_path, HOST="127.0.0.1", PORT=port, SQLITE_PATH="people.db")
    with serving(operator, page.next("python entry.py")) as address:
        assert requests.get(f"{address}/readyz", timeout=5).status_code == 200
    operator.run(page.next("requirements-cuda.lock"))
    with LivenessService() as liveness:
        operator.run(page.next("/told").replace("localhost:8099", liveness.url))
    operator.run(page.next("MALLOC_ARENA_MAX"))
    assert operator.variables["MALLOC_TRIM_THRESHOLD_"] == str(32 * 2**20)
    assert "30" in operator.run(page.next("gallery report"))
    assert not page.blocks


def test_changing_the_model(store: Settings, tmp_path: Path) -> None:
    page = Page("changing-the-model.md")

    def block(part: str) -> str:
        """The next block, for weights that are here and a service that runs already."""
        text = (
            page.next(part).replace("fetch vggface2", "fetch dlib").replace("python entry.py", "")
        )
        return text.replace("vggface2", "facenet").replace("--finish", "--finish --yes")

    weights = tmp_path / "own.pt"
    own = {"FACENET_WEIGHTS_SHA256": facenet_weights.write(weights), "QUALITY": "off"}
    own |= {"FACENET_WEIGHTS": str(weights), "SECOND_FACE_MODEL": "facenet"}
    with RunningService(tmp_path, **store, **own) as service:
        GRACE.enrol(service)
        operator = Operator(tmp_path, service)
        assert "\tsecond\t512\there\t0\t1" in operator.run(block("models list"))
        left = operator.run(block("models migrate"))
        assert '"enrolled":1' in left
        assert '"total":0' in left
        assert "with one vector: 1 of 1" in operator.run(block("gallery report"))
        operator.run(block("SECOND_FACE_MODEL=dlib"))
    assert "models: 1 employees" in operator.run(block("--finish"))
    assert not page.blocks


@pytest.mark.parametrize("name", ["monitoring.md", "openshift.md"])
def test_what_only_a_cluster_runs_has_the_right_arguments(name: str, tmp_path: Path) -> None:
    operator = Operator(tmp_path, KEY="a key")
    (operator.folder / "keys.txt").touch()
    for block in Page(name).blocks:
        operator.run(block)


@contextmanager
def serving(operator: Operator, block: str) -> Iterator[str]:
    """Run a block that serves; yield its address once it is ready."""
    words = ["bash", "-euo", "pipefail", "-c", block]
    address = f"http://127.0.0.1:{operator.variables['PORT']}"
    process = subprocess.Popen(words, cwd=operator.folder, env=operator.variables)
    try:
        operator.run(f"curl -sf --retry 60 --retry-delay 1 --retry-all-errors {address}/readyz")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.mongod
def test_releasing(tmp_path: Path) -> None:
    """The last release is the copy as it is."""
    page = Page("releasing.md")
    operator = Operator(tmp_path, HOME=str(tmp_path))
    operator.run("git config --global user.name me; git config --global user.email me@example.com")
    operator.run(f"git init -q && git add . && git commit -qm x && git tag v{VERSION}")
    operator.run(page.next("sed"))
    changed = operator.run("git diff --name-only").splitlines()
    assert set(changed) == {
        *("CHANGELOG.md", "Dockerfile", "app/version.py", "openshift/Chart.yaml"),
        *("openshift/base/deployment.yaml", "openshift/overlays/example/kustomization.yaml"),
    }
    assert f'VERSION = "{operator.variables["new"]}"' in operator.run("cat app/version.py")
    assert re.search(
        r"^## 0\.2\.0, \d{4}-\d\d-\d\d$", operator.run("cat CHANGELOG.md"), re.MULTILINE
    )
    said = operator.run(page.next("try_upgrade"))
    assert said.count("forward again: yes") == 2
    operator.run(page.next("git commit"))
    assert operator.run("git describe").strip() == "v0.2.0"
    assert not page.blocks
