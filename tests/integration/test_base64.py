"""Base64 as clients in many languages write it is taken, or the sentence says what is wrong."""

import textwrap
import tracemalloc
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from flask.testing import FlaskClient

from app.api.pictures import decode
from tests.support import sent_photos as photos

FIND = "/api/find_match"
DATA = bytes(range(256)) * 40 + b"?>~"


def standard() -> str:
    return b64encode(DATA).decode()


def lines(width: int, end: str) -> str:
    return end.join(textwrap.wrap(standard(), width))


TAKEN: dict[str, Callable[[], str]] = {
    "as it is": standard,
    "URL-safe": lambda: urlsafe_b64encode(DATA).decode(),
    "URL-safe in lines": lambda: (
        urlsafe_b64encode(DATA).decode()[:76] + "\n" + urlsafe_b64encode(DATA).decode()[76:]
    ),
    "URL-safe, not padded": lambda: urlsafe_b64encode(DATA + b"1").decode().rstrip("="),
    "lines of MIME": lambda: lines(76, "\r\n") + "\r\n",
    "lines of PEM": lambda: "\n" + lines(64, "\n"),
    "lines of an odd width": lambda: lines(61, "\n"),
    "lines that a shell joined": lambda: lines(76, " "),
    "lines that a shell joined, of an odd width": lambda: lines(61, " "),
    "indented lines": lambda: "  " + lines(76, "\r\n  "),
    "indented with tabs": lambda: "\t" + lines(76, "\n\t"),
    "one line break": lambda: standard()[:5000] + "\n" + standard()[5000:],
    "blanks around it": lambda: f" \n{standard()}  ",
    "data URL": lambda: "data:image/png;base64," + standard(),
    "data URL in capitals": lambda: "DATA:IMAGE/PNG;BASE64," + standard(),
    "data URL after a blank": lambda: " \ndata:image/jpeg;base64," + standard(),
    "data URL with a charset": lambda: "data:image/jpeg;charset=utf-8;base64," + standard(),
    "data URL with blanks": lambda: "data:image/jpeg; base64, " + standard(),
    "data URL without a type": lambda: "data:;base64," + standard(),
    "data URL, URL-safe": lambda: "data:;base64," + urlsafe_b64encode(DATA).decode(),
}


@pytest.mark.parametrize("how", TAKEN)
def test_accepted_base64_variants(how: str) -> None:
    assert decode(TAKEN[how]()).startswith(DATA)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_padding_may_be_missing(cut: int) -> None:
    data = DATA + b"x" * cut
    encoded = b64encode(data).decode()
    assert decode(encoded.rstrip("=")) == data
    assert decode(encoded) == data


def in_a_form(encoded: str) -> str:
    """Sent as it is in a form's body, and read from there."""
    return parse_qs("img=" + encoded)["img"][0]


CHANGED = "has spaces where + signs were, a form or a web address changed them"
REFUSED = {
    "+ became a space": (lambda: in_a_form(standard()), CHANGED),
    "+ became a space, padding is missing": (
        lambda: in_a_form(b64encode(DATA + b"1").decode()).rstrip("="),
        CHANGED,
    ),
    "one + became a space": (lambda: "AAAA" * 50 + " AAA" + "AAAA" * 2000, CHANGED),
    "one + far behind": (lambda: "AAAA" * 5000 + "A AA" + "AAAA" * 20, CHANGED),
    "+ became a space, in lines": (lambda: in_a_form(lines(76, "%0A")), CHANGED),
    "quotation marks": (
        lambda: f'"{standard()}"',
        "has quotation marks around it, send it without them",
    ),
    "as Python prints bytes": (
        lambda: str(b64encode(DATA)),
        "has quotation marks around it, send it without them",
    ),
    "two alphabets": (
        lambda: standard().replace("+", "-"),
        "mixes the two alphabets of base64, with + and / and with - and _",
    ),
    "a data URL that is text": (
        lambda: "data:text/plain,hello",
        "is a data URL, but not in base64",
    ),
    "a data URL that is percent-encoded": (
        lambda: "data:image/png,%89PNG",
        "is a data URL, but not in base64",
    ),
    "a data URL without a comma": (lambda: "data:" + standard(), "is not base64"),
    "a data URL of nothing": (lambda: "data:image/png;base64, ", "is empty"),
    "nothing": (lambda: " \n", "is empty"),
    "a web address": (lambda: "https://example.org/a.png", "is not base64"),
    "a sentence": (lambda: "no picture at all!", "is not base64"),
    "a letter that is left": (lambda: "AAAAA", "is not base64"),
    "padding within": (lambda: "YQ==YQ==", "is not base64"),
    "not ASCII": (lambda: "żółw", "is not base64"),
    "half a surrogate": (lambda: "\ud800", "is not base64"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_refused(client: FlaskClient, how: str) -> None:
    text, sentence = REFUSED[how]
    response = client.post(FIND, json={"image_base64": text()})
    assert (response.status_code, response.text) == (400, f"image_base64: {sentence}")


def test_the_sentence_names_the_frame_and_the_picture(client: FlaskClient) -> None:
    frames = [photos.astronaut_face()] * 14 + ["data:,"]
    body = {"img_base64": photos.astronaut(), "liveness": True, "frames": frames}
    response = client.post(FIND, json=body)
    assert response.text == "frames.14: is a data URL, but not in base64"
    pictures = [photos.astronaut(), f"'{photos.astronaut()}'"]
    enrolment = {"name": "A", "surname": "B", "img_base64": pictures}
    response = client.post("/api/store/1", json=enrolment)
    assert response.text.startswith("img_base64: picture 2 has quotation marks around it")


def test_the_urlsafe_alphabet_logs_in(client: FlaskClient) -> None:
    def urlsafe(photo: str) -> str:
        return urlsafe_b64encode(b64decode(photo)).decode().rstrip("=")

    enrolment = {"name": "A", "surname": "B", "img_base64": urlsafe(photos.astronaut())}
    assert client.post("/api/store/1", json=enrolment).status_code == 200
    response = client.post(FIND, json={"img_base64": urlsafe(photos.astronaut_again())})
    assert (response.status_code, response.get_json()["_id"]) == (200, 1)


@pytest.mark.parametrize("how", ["as it is", "URL-safe", "lines of MIME", "data URL"])
def test_a_large_picture_takes_little_memory(how: str) -> None:
    text = TAKEN[how]()
    head, comma, rest = text.rpartition(",")
    large = head + comma + rest[: len(rest) // 76 * 76] * 400
    tracemalloc.start()
    try:
        decode(large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.9 * len(large)
