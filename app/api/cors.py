"""Cross-origin calls from browser pages: allowed only for the origins in CORS_ORIGINS."""

from collections.abc import Collection

from flask import Flask, Response, request

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-ID"
)
_EXPOSED_HEADERS = "ETag, Location, Retry-After, X-Request-ID"
_PREFLIGHT_MAX_AGE_S = "600"  # a changed CORS_ORIGINS reaches browsers within ten minutes


def register(app: Flask, origins: Collection[str]) -> None:
    """Allow calls from pages of exactly these origins, or of any for `*`; never with cookies."""
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
