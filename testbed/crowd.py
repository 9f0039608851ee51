"""Run many clients at once, and check whether a correct service could give their answers."""

import base64
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Event, Thread
from typing import Any

import cv2
import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image

from app.recognition import UnusableImage
from app.recognition.image import Picture
from app.recognition.recogniser import Recogniser
from app.storage import sample_id
from app.usecases.samples import unit
from models.catalogue import Catalogue
from testbed.linearizability import Operation, is_linearizable
from testbed.photos import ASTRONAUT, GRACE_HOPPER, encoded
from testbed.runtimes import shared_runtime
from testbed.serving import MODELS_DIR, RunningService

# With it, the faces below are all different people.
THRESHOLD = 0.2
STRICT = {"LOGIN_MATCH_THRESHOLD": str(THRESHOLD)}

# Where the faces are: left, upper, right, lower.
PORTRAITS = ((ASTRONAUT, (150, 30, 310, 230)), (GRACE_HOPPER, (100, 30, 420, 430)))

KINDS = (
    *("enrol", "enrol", "put", "replace", "delete", "login", "login", "login"),
    *("add", "add", "remove", "join", "join", "leave"),
    *("login_in_group", "login_in_group", "login_in_group"),
)
SELDOM_DONE = {"remove"}  # only if two samples are there
GROUP = "night-shift"
LOOKS = 100
DONE = (200, 201, 204)
UNDECIDED = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Face:
    """A picture of a face, and its feature vector."""

    name: str
    picture: str
    vector: list[float]


def faces(number: int, apart: float = 2 * THRESHOLD) -> list[Face]:
    """Return portraits bent and coloured at random, any two farther apart than `apart`."""
    return list(_faces(number, apart))


@cache
def _faces(number: int, apart: float) -> Sequence[Face]:
    model = Catalogue(MODELS_DIR).get("dlib")
    recogniser = Recogniser(shared_runtime(), model)
    found: list[Face] = []
    vectors = np.empty((0, model.dimension), np.float32)
    seed = 0
    while len(found) < number:
        seed += 1
        picture = encoded(_bent(seed))
        try:
            vector = recogniser.for_login(picture)
        except UnusableImage:
            continue
        distances = np.linalg.norm(vectors - vector, axis=1) * model.distance_scale
        if distances.min(initial=np.inf) > apart:
            vectors = np.vstack((vectors, vector))
            encoded_picture = base64.b64encode(picture).decode()
            found.append(Face(str(seed), encoded_picture, vector.tolist()))
    return found


def _bent(seed: int) -> Picture:
    """(240, 192, 3) uint8: a portrait's face, moved by up to a twentieth here and there, tinted."""
    photo, box = PORTRAITS[seed % len(PORTRAITS)]
    face = np.asarray(Image.open(photo).convert("RGB").crop(box).resize((192, 240)))
    rng = np.random.default_rng(seed)

    def smooth(low: float, high: float, channels: int) -> NDArray[np.float32]:
        coarse = rng.uniform(low, high, (5, 4, channels)).astype(np.float32)
        return np.asarray(cv2.resize(coarse, (192, 240), interpolation=cv2.INTER_CUBIC))

    y, x = np.mgrid[0:240, 0:192].astype(np.float32)
    move = smooth(-0.05, 0.05, 2)
    moved = cv2.remap(
        face,
        x + move[..., 0] * 192,
        y + move[..., 1] * 240,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.clip(0.7 * moved + 0.3 * smooth(0, 255, 3), 0, 255).astype(np.uint8)


class Crowd:
    """Clients that enrol, replace, delete and log in at random; every face is one employee's own.

    services: a request goes to one of them at random.
    """

    def __init__(
        self,
        services: list[RunningService],
        faces: list[Face],
        employees: int,
        seed: int = 0,
        first_id: int = 1,
    ) -> None:
        self.services = services
        ids = range(first_id, first_id + employees)
        self._faces = {employee_id: faces[i::employees] for i, employee_id in enumerate(ids)}
        self._seed = seed
        self.histories: dict[int, list[Operation]] = defaultdict(list)
        self.answers: Counter[tuple[str, int | None]] = Counter()
        self.open: Counter[str] = Counter()
        """Why operations had no answer that tells what happened."""
        self.wrong: list[str] = []
        self.over = Event()
        """Set this event to stop the clients early."""

    def run(self, operations: int, clients: int = 16) -> None:
        """Let the clients do so many operations in all."""
        threads = [
            Thread(target=self._client, args=(number, operations // clients))
            for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def look(self) -> None:
        """Log in with every face, until that is answered."""
        for employee_id, own in self._faces.items():
            for face in own:
                for _ in range(LOOKS):
                    if self.ask(random.choice(self.services), employee_id, "login", face):
                        break
                    time.sleep(0.2)

    def must_be_right(self) -> None:
        """Look at everybody once more, and assert that all was done and no answer was wrong."""
        time.sleep(0.1)
        for service in self.services:
            service.wait_ready()
        self.look()
        assert self.wrong == [], self.wrong
        assert self.impossible() == [], self.told(self.impossible())
        done = {kind for kind, answer in self.answers if answer in DONE}
        assert set(KINDS) - done <= SELDOM_DONE, done

    @property
    def undecided(self) -> int:
        """How many operations have no answer that tells what happened."""
        return sum(times for (_, answer), times in self.answers.items() if answer is None)

    def impossible(self) -> list[int]:
        """Return the employees who got answers that a correct service cannot give."""
        return [i for i, history in self.histories.items() if not is_linearizable(history)]

    def told(self, employees: Iterable[int]) -> str:
        """All that was asked about the employees, one operation a line."""
        return "\n".join(
            f"{employee_id}: {o.began:.4f} to {o.ended:.4f} {o.kind} {o.face}: {o.answer}"
            for employee_id in employees
            for o in sorted(self.histories[employee_id], key=lambda o: o.began)
        )

    def slowest_undecided_s(self) -> float:
        """The longest that a client waited for a 503."""
        return max(
            (o.ended - o.began for h in self.histories.values() for o in h if o.answer is None),
            default=0.0,
        )

    def ask(self, service: RunningService, employee_id: int, kind: str, face: Face) -> int | None:
        """Send one request, and return the status; None if the outcome is unknown."""
        began = time.monotonic()
        answer = self._answer(service, employee_id, kind, face)
        ended = time.monotonic()
        self.answers[kind, answer] += 1
        operation = Operation(kind, face.name, began, ended, answer)
        self.histories[employee_id].append(operation)
        return answer

    def _client(self, number: int, operations: int) -> None:
        choose = random.Random(f"{self._seed} {number}")
        for _ in range(operations):
            if self.over.is_set():
                return
            employee_id = choose.choice(list(self._faces))
            face = choose.choice(self._faces[employee_id])
            kind = choose.choice(KINDS)
            if self.ask(choose.choice(self.services), employee_id, kind, face) is None:
                time.sleep(0.05)

    def _answer(
        self, service: RunningService, employee_id: int, kind: str, face: Face
    ) -> int | None:
        try:
            method, path, body = request(employee_id, kind, face)
            response = service.call(method, path, json=body)
        except requests.RequestException as error:
            self.open[type(error).__name__] += 1
            return None
        if response.status_code in UNDECIDED:
            self.open[response.text] += 1
            if response.status_code == 500:
                self.wrong.append(f"{kind}: 500 {response.text}")
            return None
        if kind.startswith("login") and response.ok:
            found = response.json()
            found_id = found["_id"] if kind == "login" else found["match"]["employee_id"]
            if found_id != employee_id:
                self.wrong.append(f"{employee_id} logged in as {found_id}")
        return response.status_code


def request(employee_id: int, kind: str, face: Face) -> tuple[str, str, dict[str, Any] | None]:
    """Method, path and body."""
    match kind:
        case "login":
            return "POST", "/api/find_match", {"img_base64": face.picture}
        case "delete":
            return "DELETE", f"/api/{employee_id}", None
        case "login_in_group":
            return "POST", "/api/v2/identifications", {"photo": face.picture, "group": GROUP}
        case "join" | "leave":
            groups = [GROUP] if kind == "join" else []
            return "PATCH", f"/api/v2/employees/{employee_id}", {"groups": groups}
        case "put":
            body = {"name": face.name, "surname": "x", "feature_vectors": [face.vector]}
            return "PUT", f"/api/v2/employees/{employee_id}", body
        case "add":
            path = f"/api/v2/employees/{employee_id}/samples"
            return "POST", path, {"feature_vector": face.vector}
        case "remove":
            (vector,) = unit([face.vector], len(face.vector))
            path = f"/api/v2/employees/{employee_id}/samples/{sample_id(vector)}"
            return "DELETE", path, None
        case _:
            method = "POST" if kind == "enrol" else "PUT"
            body = {"name": face.name, "surname": "x", "img_features": [face.vector]}
            return method, f"/api/store/{employee_id}", body


def empty(service: RunningService) -> None:
    """Remove everyone."""
    while users := service.call("GET", "/api/get_all/1000/1").json()["users"]:
        for user in users:
            service.call("DELETE", f"/api/{user['_id']}")
