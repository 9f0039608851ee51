"""The console: pages for people and administrators, served as files that nothing builds."""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from app.api.access import public
from app.api.openapi import describe
from app.api.paths import CONSOLE

_INDEX = "index.html"
_PAGE = {"type": "string", "contentMediaType": "text/html"}
_FILE = {"type": "string", "contentMediaType": "*/*"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "Cache-Control": "no-cache",
}


class _File(NamedTuple):
    kind: str
    plain: bytes
    zipped: bytes
    digest: str


def blueprint() -> Blueprint:
    """Return the endpoints under `/console`.

    All files are read here, once, so no address can name anything else. The pages ask the API for
    whatever they show, with the key that the person typed in, so the files are for everyone.
    """
    api = Blueprint("console", __name__, url_prefix=CONSOLE)
    found = dict(_read(files("app.console") / "static"))

    @api.get("", endpoint="to_console")
    @public
    @describe("Go to the console", answers=_PAGE, done=(302,))
    def go_to_console() -> ResponseReturnValue:
        return redirect(f"{CONSOLE.removeprefix('/')}/")

    @api.get("/", endpoint="console")
    @public
    @describe("Show the console", answers=_PAGE)
    def show_console() -> Response:
        return _answer(found[_INDEX])

    @api.get("/<path:file>", endpoint="console_file")
    @public
    @describe("Return a file of the console", answers=_FILE)
    def show_console_file(file: str) -> Response:
        if file not in found:
            raise NotFound
        return _answer(found[file])

    return api


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, _File]]:
    """Yield every file of a folder, by its path in there."""
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{name}/")
        else:
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            plain = entry.read_bytes()
            digest = hashlib.sha256(plain).hexdigest()
            yield name, _File(kind, plain, gzip.compress(plain, mtime=0), digest)


def _answer(file: _File) -> Response:
    """Answer with the file, or that the browser has it. Browsers ask each time, so none is old."""
    response = Response(file.plain, mimetype=file.kind, headers=_HEADERS)
    response.set_etag(file.digest)
    if request.accept_encodings["gzip"]:
        response.data = file.zipped
        response.headers["Content-Encoding"] = "gzip"
        response.set_etag(f"{file.digest}-gzip")
    response.make_conditional(request)
    return response
