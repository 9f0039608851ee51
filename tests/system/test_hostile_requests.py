"""Hostile requests against a whole service: the status, the time, and its peak of memory."""

import base64
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from PIL import Image

from testbed.photos import GRACE_HOPPER, encoded
from testbed.serving import RunningService
from tests.support import hostile_files as files
from tests.support import sent_photos as photos
from tests.support.features import random_vector
from tests.support.waiting import eventually

MOST_MB = 1_700
"""What docs/security.md says a worker takes at most, with an empty gallery."""

ONE_S = 20.0  # on cores that others use, too
STRIP = 100_000
SIDE = files.LARGEST
ENROLMENT = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}


class Watched:
    """A service, and the memory of its worker."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        main = service.process.pid
        self.worker = int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0])

    def send(self, body: bytes, path: str = "/api/find_match") -> requests.Response:
        return self.service.call(
            "POST", path, data=body, headers={"Content-Type": "application/json"}
        )

    def memory(self, field: str) -> float:
        """VmRSS or VmHWM, in MB."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        match = re.search(rf"{field}:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1024


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RunningService(tmp_path_factory.mktemp("watched")) as service:
        watched = Watched(service)
        for _ in range(3):
            assert watched.send(picture(base64.b64decode(photos.coffee()))).status_code == 422
        yield watched


def picture(data: bytes) -> bytes:
    return json.dumps({"img_base64": base64.b64encode(data).decode()}).encode()


def film(frame: bytes) -> bytes:
    photo = base64.b64encode(frame).decode()
    return json.dumps({"img_base64": photo, "frames": [photo] * 15}).encode()


def text(start: bytes, middle: bytes, times: int) -> bytes:
    return b'{"img_base64": "' + start + middle * times + b'"}'


# name → what is sent, the statuses that fit
HOSTILE: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "PNG of a gigapixel": (lambda: picture(files.png(30_000, 35_000)), {422}),
    "PNG, 50 MP": (lambda: picture(files.png(SIDE, SIDE)), {422}),
    "PNG, 50 MP, palette": (lambda: picture(files.png(SIDE, SIDE, 8, 3)), {422}),
    "PNG, 50 MP, 16 bits, interlaced": (
        lambda: picture(files.png(SIDE, SIDE, 16, 6, interlaced=True)),
        {422},
    ),
    "GIF, 50 MP": (lambda: picture(encoded(Image.new("P", (SIDE, SIDE)), "GIF")), {422}),
    "WebP, 50 MP": (lambda: picture(files.webp(SIDE)), {422}),
    "WebP, 25 MP": (lambda: picture(files.webp(4_990)), {422}),
    "TIFF, 50 MP, 32 bits": (
        lambda: picture(encoded(Image.new("F", (SIDE, SIDE)), "TIFF", compression="tiff_lzw")),
        {422},
    ),
    "TIFF of one tile": (lambda: picture(files.tiff_with_a_large_tile()), {422}),
    "TIFF of a long strip": (lambda: picture(files.tiff_with_a_long_strip()), {415, 422}),
    "1,264 faces": (lambda: picture(files.faces()), {406}),
    "a turned face in 50 MP": (
        lambda: picture(files.portrait(SIDE, SIDE, 2_000, turned=True)),
        {406},
    ),
    "a film of 959 × 4,790": (lambda: film(files.portrait(959, 4_790, 959)), {406}),
    "AVIF that lies": (lambda: picture(files.avif_that_lies()), {415, 422}),
    "JPEG of 40 scans": (lambda: picture(files.jpeg_of_many_scans(40, SIDE)), {422}),
    "JPEG of 5,000 scans": (lambda: picture(files.jpeg_of_many_scans(5_000)), {415}),
    "strip, lying down": (lambda: picture(files.png(STRIP, 480)), {422}),
    "strip, upright": (lambda: picture(files.png(480, STRIP)), {422}),
    "strip of one row": (lambda: picture(files.png(STRIP, 1)), {422}),
    "GIF of 10,000 frames": (lambda: picture(files.animation("GIF")), {422}),
    "PNG of 10,000 frames": (lambda: picture(files.animation("PNG")), {415}),
    "WebP of 10,000 frames": (lambda: picture(files.animation("WEBP")), {422}),
    "a cut JPEG": (lambda: picture(GRACE_HOPPER.read_bytes()[:20_000]), {415}),
    "a JPEG that says it is larger": (
        lambda: picture(files.jpeg_that_lies(GRACE_HOPPER.read_bytes(), SIDE)),
        {415, 422},
    ),
    "SVG": (lambda: text(b"data:image/jpeg;base64,", base64.b64encode(files.SVG), 1), {415}),
    "PDF": (lambda: text(b"data:image/jpeg;base64,", base64.b64encode(files.PDF), 1), {415}),
    "a PDF with a JPEG in it": (lambda: picture(files.PDF + GRACE_HOPPER.read_bytes()), {415}),
    "a JPEG with a PDF after it": (
        lambda: picture(encoded(Image.new("RGB", (99, 99)), "JPEG") + files.PDF),
        {422},
    ),
    "60 MB of white space": (lambda: text(b"", b"A ", 29_900_000), {415}),
    "60 MB of escapes": (lambda: text(b"", b"\\u0041", 9_900_000), {415}),
    "60 MB of wide characters": (lambda: text(b"", "😀".encode(), 14_900_000), {400}),
    "60 MB of lists": (lambda: b'{"a": [' + b"[]," * 19_900_000 + b"[]]}", {400}),
    "60 MB of numbers": (lambda: b'{"a": [' + b"1," * 29_900_000 + b"1]}", {400}),
    "60 MB of long numbers": (
        lambda: b'{"a": [' + (b"0." + b"1" * 300 + b",") * 198_000 + b"1]}",
        {400},
    ),
    "20 MB of members that grow": (
        lambda: json.dumps(
            {"ﷺ" * 30 + str(number): 1 for number in range(200_000)}, ensure_ascii=False
        ).encode(),
        {400},
    ),
    "60 MB of brackets": (lambda: b"[" * 59_000_000, {400}),
    "a body of 65 MB": (lambda: bytes(65_000_000), {413}),
    "15 frames of 4 MB": (
        lambda: json.dumps({"img_base64": "aa", "frames": ["A" * 3_900_000] * 15}).encode(),
        {400, 415},
    ),
    "a name of 10 MB": (
        lambda: json.dumps(ENROLMENT | {"name": "x" * 10_000_000}).encode(),
        {400},
    ),
}


def test_a_header_that_is_slow_to_parse_is_not_parsed(watched: Watched) -> None:
    blanks = "a/b" + " " * 60_000 + "x"
    began = time.monotonic()
    response = watched.service.call("GET", "/nowhere", headers={"Accept": blanks})
    assert (response.status_code, response.headers["Content-Type"][:10]) == (404, "text/plain")
    assert time.monotonic() - began < ONE_S


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_request_gets_its_status_and_costs_little(watched: Watched, kind: str) -> None:
    make, statuses = HOSTILE[kind]
    body = make()
    path = "/api/store/1" if "name" in kind else "/api/find_match"
    before, began = watched.memory("VmRSS"), time.monotonic()
    response = watched.send(body, path)
    took = time.monotonic() - began
    assert response.status_code in statuses, response.text
    assert len(response.text) < 200
    assert took < ONE_S
    assert watched.memory("VmHWM") < MOST_MB
    # and gives it back
    eventually(lambda: watched.memory("VmRSS") < before + 150)


def test_32_of_them_at_once_stay_within_the_documented_memory(watched: Watched) -> None:
    kinds = [
        ("1,264 faces", 4),
        ("a turned face in 50 MP", 2),
        ("a film of 959 × 4,790", 4),
        ("WebP, 25 MP", 6),
        ("PNG, 50 MP, 16 bits, interlaced", 2),
        ("TIFF, 50 MP, 32 bits", 2),
        ("JPEG of 40 scans", 2),
        ("AVIF that lies", 2),
        ("60 MB of white space", 2),
        ("60 MB of escapes", 2),
        ("60 MB of numbers", 2),
        ("15 frames of 4 MB", 2),
    ]
    bodies = [body for kind, times in kinds for body in [HOSTILE[kind][0]()] * times]
    assert len(bodies) == 32
    with ThreadPoolExecutor(32) as clients:
        statuses = [answer.status_code for answer in clients.map(watched.send, bodies)]
    assert set(statuses) <= {400, 406, 415, 422, 503}
    assert watched.memory("VmHWM") < MOST_MB
    assert watched.send(picture(base64.b64decode(photos.coffee()))).status_code == 422


def test_the_worker_was_not_replaced(watched: Watched) -> None:
    """Runs last: nothing of the above made it crash, and no 500 was answered."""
    assert Path(f"/proc/{watched.worker}").exists()
    assert os.getpgid(watched.worker) == watched.service.process.pid
    assert "Traceback" not in watched.service.log
    assert "status=500" not in watched.service.log


@pytest.mark.parametrize(
    "content_type",
    ["image/jpeg", "text/html", "application/xml", "multipart/form-data"],
)
def test_a_content_type_that_is_not_json(watched: Watched, content_type: str) -> None:
    response = watched.service.call(
        "POST", "/api/find_match", data=b"{}", headers={"Content-Type": content_type}
    )
    assert response.status_code == 415
