"""Enrol two people in a real service, log them in with altered photos, and show every answer.

The photos come with installed packages: Grace Hopper with matplotlib, Eileen Collins with
scikit-image. The employees are stored in a temporary SQLite file, whatever the environment says.
"""

import base64
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import requests
from matplotlib import get_data_path
from PIL import Image, ImageEnhance, ImageOps
from skimage import data

from app.settings import Settings

ROOT = Path(__file__).resolve().parent
START_S = 180  # the first start may download weights
KEPT = {
    "device",
    "face_model",
    "facenet_weights",
    "facenet_weights_sha256",
    "login_match_threshold",
    "models_dir",
}
"""Settings taken from the environment; those of a database are not, as it may be a real one."""


class Portrait(NamedTuple):
    """A person to enrol. face: left, top, right, bottom in pixels of the photo."""

    employee_id: int
    name: str
    surname: str
    photo: Image.Image
    face: tuple[int, int, int, int]

    @property
    def employee(self) -> dict[str, Any]:
        return {"_id": self.employee_id, "name": self.name, "surname": self.surname}


class Call(NamedTuple):
    """A request and the answer it must get: text, or JSON without the vectors."""

    method: str
    path: str
    sent: str
    body: dict[str, Any] | None
    status: int
    answer: Any


def calls() -> Iterator[Call]:
    """Yield the calls of the demonstration in order."""
    hopper_photo = Image.open(Path(get_data_path(), "sample_data", "grace_hopper.jpg"))
    astronaut = Image.fromarray(data.astronaut())
    hopper = Portrait(1, "Grace", "Hopper", hopper_photo, (175, 112, 356, 340))
    collins = Portrait(2, "Eileen", "Collins", astronaut, (179, 68, 264, 173))
    stranger = (406, "no matches found")

    yield _store(hopper, 200, "ok")
    yield _login("Collins, not enrolled yet", encoded(collins.photo), *stranger)
    yield _store(collins, 200, "ok")
    yield _store(hopper, 409, "that employee id is taken")
    for person in (hopper, collins):
        for how, photo in altered(person).items():
            yield _login(f"{person.surname}, {how}", photo, 200, person.employee)
    coffee = encoded(Image.fromarray(data.coffee()))
    yield _login("a cup of coffee", coffee, 422, "no face was found in the picture")
    yield _list(hopper, collins)
    yield Call("DELETE", "/api/1", "", None, 200, "ok")
    yield _login("Hopper, removed", encoded(hopper.photo), *stranger)
    yield _login("Collins, as before", encoded(collins.photo), 200, collins.employee)
    yield _list(collins)
    yield Call("DELETE", "/api/2", "", None, 200, "ok")
    yield _list()


def altered(person: Portrait) -> dict[str, bytes]:
    """Return the portrait as different cameras might take it."""
    photo, (left, top, right, bottom) = person.photo, person.face
    edge = (right - left) // 8
    close_up = photo.crop((left - edge, top - edge, right + edge, bottom + edge))
    return {
        "turned by 10°": encoded(photo.rotate(10, Image.Resampling.BICUBIC)),
        "darker": encoded(ImageEnhance.Brightness(photo).enhance(0.45)),
        "half the size": encoded(photo.resize((photo.width // 2, photo.height // 2))),
        "JPEG of quality 40": encoded(photo, "JPEG", quality=40),
        "cropped to the face": encoded(close_up),
        "mirrored": encoded(ImageOps.mirror(photo)),
    }


def encoded(photo: Image.Image, image_format: str = "PNG", **options: int) -> bytes:
    """Return the photo as the bytes of a file."""
    buffer = BytesIO()
    photo.save(buffer, image_format, **options)
    return buffer.getvalue()


def _store(person: Portrait, status: int, answer: str) -> Call:
    image = base64.b64encode(encoded(person.photo)).decode()
    body = {"name": person.name, "surname": person.surname, "img_base64": image}
    path = f"/api/store/{person.employee_id}"
    return Call("POST", path, f"{person.surname}'s portrait", body, status, answer)


def _login(sent: str, photo: bytes, status: int, answer: Any) -> Call:  # noqa: ANN401  text or JSON
    body = {"img_base64": base64.b64encode(photo).decode()}
    return Call("POST", "/api/find_match", sent, body, status, answer)


def _list(*people: Portrait) -> Call:
    users = {"users": [person.employee for person in people]}
    return Call("GET", "/api/get_all/30/1", "", None, 200, users)


@contextmanager
def service() -> Iterator[str]:
    """Run the service on a free port, yield its URL, and end it whatever happens."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder, socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
        spare.close()
        settings = set(Settings.model_fields) - KEPT
        environment = {k: v for k, v in os.environ.items() if k.lower() not in settings}
        environment["FACE_MODEL"] = environment.get("FACE_MODEL") or "dlib"  # needs no download
        environment |= {"HOST": "127.0.0.1", "PORT": str(port), "DRAIN_S": "0"}
        environment["SQLITE_PATH"] = str(Path(folder, "employees.db"))
        log = Path(folder, "service.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "entry.py"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C must reach this process alone
            )
        try:
            url = f"http://127.0.0.1:{port}"
            print(f"Starting the service at {url}, model {environment['FACE_MODEL']}.", flush=True)
            _wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            print("The service has ended.")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        while process.poll() is None and time.monotonic() - began < START_S:
            try:
                if session.get(f"{url}/readyz", timeout=5).status_code == 200:
                    print(f"Ready after {time.monotonic() - began:.1f} s.\n", flush=True)
                    return
            except requests.RequestException:
                pass  # it is not listening yet
            time.sleep(0.1)
    sys.exit(f"The service did not start. Its log:\n\n{log.read_text(errors='replace')}")


def demonstrate(url: str) -> bool:
    """Make the calls, print a line for each, and return whether all answers were as expected."""
    planned = list(calls())
    request, sent = (max(map(len, column)) for column in zip(*map(_request, planned), strict=True))
    row = f"{{}}  {{:{request}}}  {{:{sent}}}  {{:>5}}  {{:>6}}  {{}}".format
    print(row(" ", "request", "sent", "ms", "status", "answer"))
    unexpected = 0
    with requests.Session() as session:
        session.trust_env = False
        for call in planned:
            began = time.perf_counter()
            response = session.request(call.method, url + call.path, json=call.body, timeout=60)
            elapsed = (time.perf_counter() - began) * 1000
            answer = _read(response)
            right = (response.status_code, answer) == (call.status, call.answer)
            unexpected += not right
            shown = _shown(answer)
            if not right:
                shown += f"  (expected: {call.status} {_shown(call.answer)})"
            columns = (*_request(call), round(elapsed), response.status_code, shown)
            print(row("✓" if right else "✗", *columns), flush=True)
    print(f"\n{len(planned) - unexpected} of {len(planned)} answers were as expected.")
    return not unexpected


def _request(call: Call) -> tuple[str, str]:
    return f"{call.method} {call.path}", call.sent


def _read(response: requests.Response) -> Any:  # noqa: ANN401  text or JSON
    """Return the body, without feature vectors, which are long."""
    if response.headers["Content-Type"] != "application/json":
        return response.text
    body = response.json()
    for user in body.get("users", ()):
        user.pop("img", None)
    return body


def _shown(answer: Any) -> str:  # noqa: ANN401  text or JSON
    match answer:
        case {"_id": number, "name": name, "surname": surname}:
            return f"{number}: {name} {surname}"
        case {"users": users}:
            return ", ".join(map(_shown, users)) or "nobody"
    return str(answer)


def main() -> None:
    """Run the demonstration. Exit with 1 if an answer was unexpected, with 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with service() as url:
            as_expected = demonstrate(url)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if as_expected else 1)


if __name__ == "__main__":
    main()
