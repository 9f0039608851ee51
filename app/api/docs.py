"""The description as a page, which loads and runs nothing, and what is at `/`."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from flask import Blueprint, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from jinja2 import Environment

from app.api.access import public
from app.api.components import Json
from app.api.curl import command
from app.api.openapi import describe, description
from app.api.paths import CONSOLE, DOCS
from app.api.schema_text import SchemaText
from app.api.schemas import described, named
from app.version import VERSION

_PATHS = {"docs": DOCS, "openapi": "/openapi.json", "readiness": "/readyz"}
_TEXT = {"type": "string"}
_START = named(
    "Start",
    described(version=_TEXT, **dict.fromkeys(_PATHS, _TEXT), console={"type": ["string", "null"]}),
)
_PAGE = {"type": "string", "contentMediaType": "text/html"}


def blueprint(has_console: bool) -> Blueprint:
    """Return the endpoints `/docs` and `/`, which leads browsers to the console if there is one."""
    api = Blueprint("docs", __name__)
    console = f"{CONSOLE}/" if has_console else None
    cached: list[Response] = []  # two threads may make it at once, to the same result

    @api.get(DOCS, endpoint="docs")
    @public
    @describe("Show this description as a page", answers=_PAGE)
    def show_docs() -> Response:
        if not cached:
            cached.append(_page(description()))
        return Response(cached[0].data, headers=dict(cached[0].headers))

    @api.get("/", endpoint="start")
    @public
    @describe("Say where to go; browsers go there", answers=_START, done=(200, 302))
    def show_start() -> ResponseReturnValue:
        kinds = ["application/json", "text/html"]
        if request.accept_mimetypes.best_match(kinds) == "text/html":
            return redirect((console or DOCS).removeprefix("/"))
        return jsonify(version=VERSION, **_PATHS, console=console)

    return api


def _page(document: Json) -> Response:
    """Return the page. Its policy allows its own style sheet and nothing else."""
    folder = files("app.api")
    style = (folder / "docs.css").read_text()
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "docs.html").read_text())
    text = SchemaText(document["components"]["schemas"])
    page = template.render(
        document=document,
        errors=document["components"]["responses"],
        style=style,
        text=text,
        command=command,
    )
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Response(page, headers=headers)
