"""Run what is measured: this service with a full gallery, and the straightforward one."""

import base64
import hashlib
import http.client
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from numpy.typing import NDArray

from app.settings import Settings
from app.storage.sqlite.store import SqliteStore
from benchmarks.pictures import Person, jpeg
from models.catalogue import Catalogue, FaceModel
from testbed.serving import MODELS_DIR, ROOT, RunningService, free_port

EMPLOYEES = 10_000
LOGGED = {"LOG_LEVEL": "info"}  # the default; tests log everything
# As make, the Dockerfile and Source-to-Image set them: docs/operations.md#memory.
GLIBC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}
SCRATCH = ROOT / ".cache" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings that choose a face model for this service.

    facenet is an InceptionResnetV1 with random weights, which take as long as trained ones.
    """

    name: str
    variables: dict[str, str]

    def model(self) -> FaceModel:
        if self.name == "dlib":
            return Catalogue(MODELS_DIR).get("dlib")
        path, sha256 = self.variables["FACENET_WEIGHTS"], self.variables["FACENET_WEIGHTS_SHA256"]
        catalogue = Catalogue(MODELS_DIR, (Path(path), sha256))
        return catalogue.get(catalogue.own_name or "")

    def settings(self, folder: Path) -> Settings:
        """Return settings for parts of the service in this process, ignoring the environment."""
        values = {name.lower(): value for name, value in self.variables.items()}
        own = {"models_dir": MODELS_DIR, "sqlite_path": folder / "employees.db"}
        return Settings(**values, **own, mongo_db_url=None, device="cpu", log_level="error")  # type: ignore[arg-type]


def setups() -> dict[str, Setup]:
    weights = random_weights()
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    own = {"FACENET_WEIGHTS": str(weights), "FACENET_WEIGHTS_SHA256": sha256}
    return {
        "dlib": Setup("dlib", {"FACE_MODEL": "dlib"}),
        # Quality is judged by vectors, and those of random weights say nothing.
        "facenet": Setup("facenet", {"FACE_MODEL": "facenet", "QUALITY": "off"} | own),
    }


def random_weights() -> Path:
    """Make a state dict of InceptionResnetV1, always the same one, and return its path."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    path = SCRATCH / "inception-resnet-v1-seed-0.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        torch.save(InceptionResnetV1(pretrained=None, classify=False).state_dict(), path)
    return path


def synthetic(dimension: int, count: int = EMPLOYEES) -> NDArray[np.float32]:
    """Return (count, dimension) unit vectors in random directions, far from every face."""
    vectors = np.random.default_rng(0).normal(size=(count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def fill(path: Path, model: FaceModel, count: int = EMPLOYEES) -> None:
    """Put employees with synthetic vectors straight into a new SQLite file of the service."""
    SqliteStore(path).close()
    rows = [
        (number, "name", "surname", model.name, model.dimension, vector.astype("<f4").tobytes())
        for number, vector in enumerate(synthetic(model.dimension, count), start=1)
    ]
    with sqlite3.connect(path) as database:
        database.executemany(
            "INSERT INTO employees (employee_id, name, surname, model, dimension, vectors) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
    database.close()


def enrol(service: RunningService, people: list[Person]) -> None:
    """Enrol people by photo, over HTTP."""
    for person in people:
        photo = base64.b64encode(jpeg(person.enrolment)).decode()
        body = {"name": "name", "surname": "surname", "img_base64": photo}
        response = service.call("POST", f"/api/store/{person.employee_id}", json=body)
        assert response.status_code == 200, response.text


@contextmanager
def service_with_gallery(
    setup: Setup, folder: Path, people: list[Person], **variables: str
) -> Iterator[RunningService]:
    """Run the service as deployed, with 10,000 employees and these people enrolled."""
    folder.mkdir(parents=True, exist_ok=True)
    fill(folder / "employees.db", setup.model())
    if setup.name != "dlib":  # random weights take everybody for the same person
        people = people[:1]
    with RunningService(folder, **LOGGED | setup.variables | variables) as service:
        enrol(service, people)
        yield service


@contextmanager
def straightforward_with_gallery(folder: Path, people: list[Person], paged: bool) -> Iterator[int]:
    """Run the straightforward service with the same employees, and yield its port."""
    from benchmarks import straightforward

    folder.mkdir(parents=True, exist_ok=True)
    table, port = folder / "table.db", free_port()
    straightforward.add(table, list(enumerate(synthetic(512), start=1)))
    pipeline = straightforward.Straightforward(
        straightforward.load_network(random_weights()), table
    )
    for person in people:
        pipeline.enrol(person.employee_id, jpeg(person.enrolment))
    log = folder / "straightforward.log"
    process = straightforward.serve(random_weights(), table, port, log, paged)
    try:
        _wait(process, f"http://127.0.0.1:{port}/readyz", log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.get(url, timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError(f"the straightforward service did not come up:\n{log.read_text()}")


class Client:
    """Logs in over one connection, which it keeps open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def login(self, body: bytes) -> bytes:
        """Return the body of the answer. Raises RuntimeError unless its status is 200."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/api/find_match", body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"find_match answered {response.status}: {answer.decode()}")
        return answer
