"""Which face model runs: the setting decides, else the store, else which weights are available."""

import base64
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from app.model_check import ModelCheck
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from models.catalogue import Catalogue, FaceModel, ModelUnavailable
from models.choice import choose_model
from models.weights import WeightsFile
from testbed.photos import PORTRAITS
from testbed.serving import free_port, ready_app
from tests.support.features import random_vector
from tests.support.weights_server import CONTENT, OTHER, Answer, WeightsServer, sha256

PORTRAIT = base64.b64encode(PORTRAITS[0].read_bytes()).decode()


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with WeightsServer(CONTENT) as server:
        yield server


@pytest.fixture
def unreachable() -> WeightsFile:
    return WeightsFile("net.pt", f"http://127.0.0.1:{free_port()}/net.pt", sha256(CONTENT))


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, str]:
    """The operator's own file and its SHA-256; it is not parsed until a network is built."""
    path = tmp_path / "own.pt"
    path.write_bytes(OTHER)
    return path, sha256(OTHER)


def start(wanted: str, stored: dict[str, int], catalogue: Catalogue) -> FaceModel:
    """Choose a model and get its network, as a start does."""
    model = choose_model(wanted, stored, catalogue)
    model.network()
    return model


def own_name(own: tuple[Path, str]) -> str:
    return f"facenet-{own[1][:12]}"


def assert_names_three_ways_out(message: str, models_dir: Path) -> None:
    for way_out in (
        f"put net.pt into {models_dir} (MODELS_DIR)",
        "set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256",
        "set FACE_MODEL=dlib",
    ):
        assert way_out in message
    assert "\n" not in message


def test_an_empty_store_gets_vggface2_when_its_weights_are_here(
    tmp_path: Path, unreachable: WeightsFile
) -> None:
    (tmp_path / "net.pt").write_bytes(CONTENT)
    model = start("auto", {}, Catalogue(tmp_path, vggface2=unreachable))
    assert (model.name, model.dimension) == ("vggface2", 512)


def test_an_empty_store_gets_vggface2_when_its_weights_can_be_fetched(
    tmp_path: Path, server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path / "weights", vggface2=server.offer())
    with capture_logs() as lines:
        assert start("auto", {}, catalogue).name == "vggface2"
    assert (tmp_path / "weights" / "net.pt").read_bytes() == CONTENT
    assert not [line for line in lines if line["log_level"] == "warning"]
    assert start("auto", {}, catalogue).name == "vggface2"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [Answer(status=404), Answer(status=403), Answer(content=OTHER)],
    ids=["404", "403", "other bytes"],
)
def test_an_empty_store_gets_dlib_when_the_weights_cannot_be_fetched(
    answer: Answer, tmp_path: Path, server: WeightsServer
) -> None:
    server.answers = [answer]
    with capture_logs() as lines:
        model = start("auto", {}, Catalogue(tmp_path, vggface2=server.offer()))
    assert (model.name, model.dimension) == ("dlib", 128)
    (warning,) = [line for line in lines if "dlib" in line["event"]]
    assert warning["log_level"] == "warning"
    assert warning["event"] == "using the model dlib, because vggface2 is unavailable"
    assert_names_three_ways_out(warning["reason"], tmp_path)


def test_an_empty_store_gets_dlib_without_a_network(
    tmp_path: Path, unreachable: WeightsFile
) -> None:
    with capture_logs() as lines:
        model = start("auto", {}, Catalogue(tmp_path, vggface2=unreachable))
    assert model.name == "dlib"
    assert "127.0.0.1" in lines[-1]["reason"]
    assert "refused" in lines[-1]["reason"]


def test_an_empty_store_gets_dlib_where_nothing_can_be_written(
    tmp_path: Path, server: WeightsServer
) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    with capture_logs() as lines:
        model = start("auto", {}, Catalogue(blocked, vggface2=server.offer()))
    assert model.name == "dlib"
    assert str(blocked) in lines[-1]["reason"]


def test_an_empty_store_gets_ones_own_weights(
    tmp_path: Path, own: tuple[Path, str], server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path, own, vggface2=server.offer())
    assert start("auto", {}, catalogue).name == own_name(own)
    assert server.requests == []


def test_an_empty_store_with_bad_weights_of_ones_own_is_refused(
    tmp_path: Path, own: tuple[Path, str], server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path, (own[0], "0" * 64), vggface2=server.offer())
    with pytest.raises(ModelUnavailable, match=r"wrong SHA-256.*Check FACENET_WEIGHTS"):
        start("auto", {}, catalogue)
    assert server.requests == []


def test_a_store_decides_before_anything_else(
    tmp_path: Path, own: tuple[Path, str], server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path, own, vggface2=server.offer())
    assert start("auto", {"dlib": 3}, catalogue).name == "dlib"
    assert server.requests == []
    assert start("auto", {own_name(own): 3}, catalogue).name == own_name(own)
    assert server.requests == []
    assert start("auto", {"vggface2": 3}, catalogue).name == "vggface2"
    assert len(server.requests) == 1


def test_a_store_whose_model_cannot_be_fetched_is_refused(
    tmp_path: Path, unreachable: WeightsFile
) -> None:
    """Not dlib: nobody who is enrolled would be found."""
    with pytest.raises(ModelUnavailable) as failure:
        start("auto", {"vggface2": 3}, Catalogue(tmp_path, vggface2=unreachable))
    assert_names_three_ways_out(str(failure.value), tmp_path)


def test_a_store_of_an_unknown_model_is_refused(tmp_path: Path, own: tuple[Path, str]) -> None:
    for catalogue in (Catalogue(tmp_path), Catalogue(tmp_path, own)):
        with pytest.raises(ModelUnavailable, match=r"facenet-0123456789ab.*FACENET_WEIGHTS_SHA256"):
            start("auto", {"facenet-0123456789ab": 1}, catalogue)


def test_a_store_of_several_models_asks_for_a_decision(tmp_path: Path) -> None:
    stored = {"vggface2": 12, "dlib": 3}
    with pytest.raises(ModelUnavailable, match=re.escape("(dlib: 3, vggface2: 12)")) as failure:
        start("auto", stored, Catalogue(tmp_path))
    assert "set FACE_MODEL" in str(failure.value)
    assert start("dlib", stored, Catalogue(tmp_path)).name == "dlib"


@pytest.mark.parametrize("stored", [{}, {"vggface2": 1}, {"facenet-0123456789ab": 1}])
def test_an_explicit_name_wins(
    stored: dict[str, int], tmp_path: Path, own: tuple[Path, str], server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path, own, vggface2=server.offer())
    assert start("dlib", stored, catalogue).name == "dlib"
    assert start("facenet", stored, catalogue).name == own_name(own)
    assert server.requests == []
    assert start("vggface2", stored, catalogue).name == "vggface2"


def test_an_explicit_vggface2_that_cannot_be_had_is_refused(
    tmp_path: Path, unreachable: WeightsFile
) -> None:
    with pytest.raises(ModelUnavailable) as failure:
        start("vggface2", {}, Catalogue(tmp_path, vggface2=unreachable))
    assert_names_three_ways_out(str(failure.value), tmp_path)


def test_an_explicit_facenet_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256"):
        start("facenet", {}, Catalogue(tmp_path))


def test_vggface2_may_come_from_a_file_of_ones_own(
    tmp_path: Path, own: tuple[Path, str], unreachable: WeightsFile
) -> None:
    published = replace(unreachable, sha256=own[1])
    catalogue = Catalogue(tmp_path, own, vggface2=published)
    for wanted, stored in (
        ("auto", {}),
        ("facenet", {}),
        ("vggface2", {}),
        ("auto", {"vggface2": 9}),
    ):
        assert start(wanted, stored, catalogue).name == "vggface2"


def enrol_with(folder: Path, employee_id: int, model: str, dimension: int) -> None:
    """As another process would that runs that model."""
    with closing(SqliteStore(folder / "employees.db")) as other:
        vectors = np.eye(1, dimension, dtype=np.float32)
        other.add(Employee(employee_id, "Ada", "Lovelace", vectors, model))


@pytest.fixture
def unfetchable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for models, without vggface2; downloads fail."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    return folder


Ask = Callable[[str], TestResponse]


@pytest.fixture
def ask(tmp_path: Path, unfetchable: Path) -> Iterator[Ask]:
    """Asks a service that found an empty store, could not fetch vggface2, and so runs dlib."""
    app = ready_app(tmp_path, face_model="auto", models_dir=unfetchable)
    yield asks(app)
    app.extensions["service"].stop()


def asks(app: Flask) -> Ask:
    client = app.test_client()
    features = random_vector(1)

    def ask(what: str) -> TestResponse:
        match what:
            case "login":
                return client.post("/api/find_match", json={"img_base64": PORTRAIT})
            case "enrol":
                body = {"name": "Grace", "surname": "Hopper", "img_features": [features]}
                return client.post("/api/store/2", json=body)
            case _:
                return client.get("/readyz")

    return ask


def statuses(ask: Ask) -> dict[str, int]:
    return {what: ask(what).status_code for what in ("login", "readyz", "enrol")}


def test_a_process_that_chose_otherwise_on_an_empty_store_is_not_ready(
    ask: Ask, tmp_path: Path
) -> None:
    """Two services start on an empty store, and only the other one can fetch vggface2."""
    assert ask("login").status_code == 406
    assert ask("readyz").status_code == 200
    enrol_with(tmp_path, 1, "vggface2", 512)
    with capture_logs() as lines:
        assert statuses(ask) == {"login": 503, "readyz": 503, "enrol": 503}
        assert "different face model" in ask("readyz").text
    (told,) = [line for line in lines if line["log_level"] == "error"]
    assert "restart this process" in told["event"]
    assert (told["running"], told["stored"]) == ("dlib", {"vggface2": 1})
    with closing(SqliteStore(tmp_path / "employees.db")) as other:
        other.remove(1)
    assert statuses(ask) == {"login": 406, "readyz": 200, "enrol": 200}


def test_a_process_is_not_ready_after_the_stored_model_changes(ask: Ask, tmp_path: Path) -> None:
    """As if a backup of another model was restored, without a word in the change log."""
    assert ask("enrol").status_code == 200
    with closing(sqlite3.connect(tmp_path / "employees.db")) as database, database:
        database.execute("UPDATE employees SET model = 'vggface2'")
    assert statuses(ask) == {"login": 503, "readyz": 503, "enrol": 503}


def test_a_process_that_matches_some_is_ready(ask: Ask, tmp_path: Path) -> None:
    assert ask("enrol").status_code == 200
    with capture_logs() as lines:
        enrol_with(tmp_path, 1, "vggface2", 512)
        assert ask("login").status_code == 406
        enrol_with(tmp_path, 3, "vggface2", 512)
        assert ask("readyz").status_code == 200
    (warning,) = [line for line in lines if line["log_level"] == "warning"]
    assert "another model" in warning["event"]


def test_a_wrong_model_does_not_count_as_a_failed_login(tmp_path: Path) -> None:
    app = ready_app(tmp_path, login_failures=2)
    enrol_with(tmp_path, 1, "vggface2", 512)
    assert [asks(app)("login").status_code for _ in range(5)] == [503] * 5
    app.extensions["service"].stop()


def test_the_first_enrolment_may_use_the_configured_model(tmp_path: Path) -> None:
    """Or nobody could be enrolled again when the model is changed."""
    enrol_with(tmp_path, 1, "vggface2", 512)
    app = ready_app(tmp_path, face_model="dlib")
    ask = asks(app)
    assert statuses(ask) == {"login": 503, "readyz": 503, "enrol": 200}
    assert ask("login").status_code == 406
    assert ask("readyz").status_code == 200
    app.extensions["service"].stop()


def test_stored_models_are_counted_when_something_changed(tmp_path: Path) -> None:
    class CountedStore(SqliteStore):
        counted = 0

        def models(self) -> dict[str, int]:
            self.counted += 1
            return super().models()

    with closing(CountedStore(tmp_path / "employees.db")) as store:
        check = ModelCheck(store, lambda stored: pytest.fail("no model is chosen"))
        assert [check.stored() for _ in range(9)] == [{}] * 9
        assert store.counted == 1
        enrol_with(tmp_path, 1, "vggface2", 512)
        assert [check.stored() for _ in range(9)] == [{"vggface2": 1}] * 9
        assert store.counted == 2


@pytest.mark.parametrize("stored", [{}, {"vggface2": 3}, {"dlib": 3}])
@pytest.mark.parametrize("wanted", ["auto", "vggface2", "dlib"])
def test_the_facts_of_a_model_are_known_without_its_weights(
    wanted: str, stored: dict[str, int], tmp_path: Path, server: WeightsServer
) -> None:
    catalogue = Catalogue(tmp_path / "weights", vggface2=server.offer())
    facts = choose_model(wanted, stored, catalogue, fetch=False)
    assert server.requests == []
    if stored or wanted != "auto":
        model = start(wanted, stored, catalogue)
        assert (facts.name, facts.dimension) == (model.name, model.dimension)
        assert facts.distance_scale == model.distance_scale
    else:
        assert facts.name == "dlib"
