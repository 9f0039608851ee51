"""A login written the straightforward way, to compare the service with.

It uses facenet-pytorch's own modules: it detects and crops with an MTCNN made for each login,
embeds in eager PyTorch, reads the table of employees 50 rows at a time, and compares them with
scikit-learn. It runs in this process, or as a Flask app under gunicorn that `serve` starts.
"""

import base64
import itertools
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from flask import Flask, Response, jsonify, request
from numpy.typing import NDArray
from PIL import Image
from pymongo.collection import Collection
from sklearn.metrics.pairwise import euclidean_distances

ALPHA = 0.8
PAGE = 50

Vector = NDArray[np.float32]
Timed = Callable[[str, Callable[[], Any]], Any]
"""Calls the second argument, and notes under the name in the first how long it took."""


def untimed(_: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever it returns
    return call()


class Straightforward:
    """Logs people in.

    network: the embedding network. table: the SQLite file of employees.
    paged: read each 50 rows with a statement of their own (LIMIT and OFFSET).
    """

    def __init__(self, network: torch.nn.Module, table: Path, paged: bool = False) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._network = network.eval()
        self._table = table
        self._read = _pages if paged else _one_statement

    def login(self, photo: bytes, timed: Timed = untimed) -> tuple[int, str, str] | None:
        """Return the nearest employee below α, or None."""
        image = timed("decode", lambda: Image.open(BytesIO(photo)).convert("RGB"))
        detector, cropper = timed("build MTCNN twice", lambda: (MTCNN(), _cropper()))
        boxes = timed("detect", lambda: detector.detect(image)[0])
        if boxes is None:
            return None
        face = timed("detect again and crop", lambda: cropper(image))
        vector = timed("embed", lambda: self.embed(face))
        return timed("search", lambda: self.search(vector))

    def enrol(self, employee_id: int, photo: bytes) -> None:
        face = _cropper()(Image.open(BytesIO(photo)).convert("RGB"))
        add(self._table, [(employee_id, self.embed(face))])

    def embed(self, face: torch.Tensor) -> Vector:
        with torch.inference_mode():
            return self._network(face[None])[0].numpy()

    def search(self, vector: Vector) -> tuple[int, str, str] | None:
        """Return the nearest of all employees if below α, or None."""
        nearest, least = None, ALPHA
        with sqlite3.connect(self._table) as database:
            for rows in self._read(database):
                vectors = np.stack([_vector(row[3]) for row in rows])
                (distances,) = euclidean_distances(vector[None], vectors)
                best = int(distances.argmin())
                if distances[best] < least:
                    nearest, least = rows[best][:3], float(distances[best])
        database.close()
        return nearest


def _cropper() -> MTCNN:
    return MTCNN(image_size=160, margin=14)


def search_mongodb(users: Collection[dict[str, Any]], vector: Vector) -> int | None:
    """Return the id of the nearest employee below α, or None. Documents hold lists of numbers."""
    nearest, least = None, ALPHA
    for start in itertools.count(step=PAGE):
        page = list(users.find().sort("_id").skip(start).limit(PAGE))
        if not page:
            return nearest
        vectors = np.array([document["vector"] for document in page], np.float32)
        (distances,) = euclidean_distances(vector[None], vectors)
        best = int(distances.argmin())
        if distances[best] < least:
            nearest, least = page[best]["_id"], float(distances[best])
    raise AssertionError


def _one_statement(database: sqlite3.Connection) -> Iterator[list[Any]]:
    cursor = database.execute("SELECT * FROM employees")
    while rows := cursor.fetchmany(PAGE):
        yield rows


def _pages(database: sqlite3.Connection) -> Iterator[list[Any]]:
    for start in itertools.count(step=PAGE):
        rows = database.execute(
            "SELECT * FROM employees ORDER BY employee_id LIMIT ? OFFSET ?", (PAGE, start)
        ).fetchall()
        if not rows:
            return
        yield rows


def add(table: Path, vectors: list[tuple[int, Vector]], as_lists: bool = False) -> None:
    """Put employees into the table, and create it if it is missing.

    as_lists: store lists of numbers, as in MongoDB documents and JSON, instead of bytes.
    """
    with sqlite3.connect(table) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS employees "
            "(employee_id INTEGER PRIMARY KEY, name TEXT, surname TEXT, vector)"
        )
        rows = [
            (i, "name", "surname", json.dumps(vector.tolist()) if as_lists else vector.tobytes())
            for i, vector in vectors
        ]
        database.executemany("INSERT INTO employees VALUES (?, ?, ?, ?)", rows)
    database.close()


def _vector(stored: bytes | str) -> Vector:
    if isinstance(stored, bytes):
        return np.frombuffer(stored, np.float32)
    return np.array(json.loads(stored), np.float32)


def load_network(weights: Path) -> torch.nn.Module:
    network = InceptionResnetV1(pretrained=None, classify=False)
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network


def create_app() -> Flask:
    """Return the Flask app. gunicorn calls this."""
    network, table = load_network(Path(os.environ["WEIGHTS"])), Path(os.environ["TABLE"])
    pipeline = Straightforward(network, table, paged=os.environ["PAGED"] == "1")
    app = Flask(__name__)

    @app.post("/api/find_match")
    def find_match() -> Response | tuple[str, int]:
        employee = pipeline.login(base64.b64decode(request.json["img_base64"]))
        if employee is None:
            return "no matches found", 406
        employee_id, name, surname = employee
        return jsonify(_id=employee_id, name=name, surname=surname)

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    return app


def serve(weights: Path, table: Path, port: int, log: Path, paged: bool) -> subprocess.Popen[bytes]:
    """Start the app under gunicorn on loopback."""
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
    variables = {"WEIGHTS": str(weights), "TABLE": str(table), "PAGED": str(int(paged))}
    with log.open("ab") as output:
        return subprocess.Popen(
            [*command, "--keep-alive", "30", f"{__name__}:create_app()"],
            env=os.environ | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
