"""Cross-origin calls from browser pages: allowed only for the origins in CORS_ORIGINS."""

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app.api.errors import Problem

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-ID"
)
_EXPOSED_HEADERS = "ETag, Location, Retry-After, X-Request-ID"
_SAFE = ("GET", "HEAD", "OPTIONS")
_PREFLIGHT_MAX_AGE_S = "600"  # a changed CORS_ORIGINS reaches browsers within ten minutes


def register(app: Flask, origins: Collection[str], *, keys_required: bool) -> None:
    """Allow calls from pages of exactly these origins, or of any for `*`; never with cookies.

    keys_required: whether requests need an API key, which pages of others do not have.
    """
    if not keys_required:

        @app.before_request
        def refuse_foreign_pages() -> None:
            """Refuse what browsers send for any page, such as forms, without asking first."""
            if request.method not in _SAFE and _is_of_foreign_page(origins):
                raise Problem(403, "foreign_page", "pages of other sites may not call this service")

    if not origins:
        return

    @app.after_request
    def permit(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not ({origin, "*"} & set(origins)):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_MAX_AGE_S
        return response


def _is_of_foreign_page(origins: Collection[str]) -> bool:
    """Return whether a page of another site makes this request. Only browsers send an Origin."""
    origin = request.headers.get("Origin")
    if origin is None or {origin, "*"} & set(origins):
        return False
    # Browsers say it themselves to hosts with HTTPS and to localhost.
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site not in ("same-origin", "none")
    return urlsplit(origin).netloc != request.host
