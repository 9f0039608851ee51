"""A stand-in for CompreFace on loopback: lists faces and sends photos as its REST API says."""

import csv
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from testbed.photos import ASTRONAUT, GRACE_HOPPER
from tests.support import commands
from tests.support.loopback_server import LoopbackHandler, LoopbackServer

KEY = "7a0e2c1e-5f4b-4c55-9d0c-6f1f3f6f9a01"
FACES = "/api/v1/recognition/faces"
GRACE, EILEEN = GRACE_HOPPER.read_bytes(), ASTRONAUT.read_bytes()


def image_id(number: int) -> str:
    return str(UUID(int=number))


class CompreFaceServer(LoopbackServer):
    """Has faces that a test adds to.

    faces: image id -> subject, in the order of the pages. photos: image id -> content; without one,
    the answer is empty, as if save_images_to_db was off. page_size: the most faces of a page.
    wrong: path -> status, headers and content of the answer to it instead. asked: every path that
    was asked for, without the query. keys: every key that came. after_page: called after each page.
    leave_after: the photo after which it answers nothing any more.
    """

    def __init__(self) -> None:
        self.faces: dict[str, str] = {}
        self.photos: dict[str, bytes] = {}
        self.page_size = 1_000
        self.wrong: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.keys: set[str | None] = set()
        self.after_page: Callable[[], object] = lambda: None
        self.leave_after: str | None = None
        super().__init__(_Handler)

    @property
    def photos_asked(self) -> list[str]:
        """The ids of the photos that were asked for."""
        return [path.split("/")[-2] for path in self.asked if path.endswith("/img")]

    def add(self, number: int, subject: str, photo: bytes = b"") -> str:
        """Add a face; return its image id."""
        self.faces[image_id(number)] = subject
        self.photos[image_id(number)] = photo
        return image_id(number)

    def fail(self, number: int, status: int, content: bytes = b"", **headers: str) -> None:
        """Answer like this instead of with that photo."""
        self.wrong[f"{FACES}/{image_id(number)}/img"] = status, headers, content


class _Handler(LoopbackHandler):
    owner: CompreFaceServer
    wbufsize = -1  # headers and content in one packet

    def do_GET(self) -> None:  # noqa: N802  as http.server calls it
        owner, asked = self.owner, urlsplit(self.path)
        key = self.headers["x-api-key"]
        if owner.leave_after and f"{FACES}/{owner.leave_after}/img" in owner.asked:
            self.close_connection = True
            return
        owner.asked.append(asked.path)
        owner.keys.add(key)
        if asked.path in owner.wrong:
            self._answer(*owner.wrong[asked.path])
        elif key != KEY:
            problem = {"message": f"Recognition service with API Key {key} not found", "code": 10}
            self._answer(404, {}, json.dumps(problem).encode())
        elif asked.path == FACES:
            query = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
            self._answer(200, {}, self._page(query["page"], query["size"]))
            owner.after_page()
        else:
            self._answer(200, {}, owner.photos.get(asked.path.split("/")[-2], b""))

    def _page(self, number: int, size: int) -> bytes:
        faces, size = list(self.owner.faces.items()), min(size, self.owner.page_size)
        page = {
            "faces": [
                {"image_id": face, "subject": subject}
                for face, subject in faces[number * size : (number + 1) * size]
            ],
            "page_number": number,
            "page_size": size,
            "total_pages": -(-len(faces) // size),
            "total_elements": len(faces),
        }
        return json.dumps(page).encode()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        if "Content-Length" in headers:
            self.close_connection = True
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # the client may give up
            self.wfile.write(content)


def collect(server: CompreFaceServer, folder: Path, *options: str, key: str = KEY) -> commands.Done:
    """Run `collect compreface`. key: of the variable."""
    return commands.run(*words(server, folder), *options, COMPREFACE_API_KEY=key)


def words(server: CompreFaceServer, folder: Path) -> list[str]:
    return ["collect", "compreface", server.address, str(folder)]


def rows(file: Path) -> list[tuple[str, str, str, str]]:
    """Id, name, surname and photo of each row."""
    with file.open(newline="", encoding="utf-8") as lines:
        return [
            (row["id"], row["name"], row["surname"], row["photo"]) for row in csv.DictReader(lines)
        ]
