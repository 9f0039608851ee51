"""Which other origins' browser pages may call the service: none, unless CORS_ORIGINS names them."""

from collections.abc import Collection

from flask import Flask, Response, request

_METHODS = "GET, POST, PUT, DELETE"
_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-ID"
_READABLE = "Retry-After, X-Request-ID"
_REMEMBERED_S = "600"


def register(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these exact origins, or of any with `*`, call. Cookies are never allowed."""
    if not origins:
        return

    @app.after_request
    def permit(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not ({origin, "*"} & set(origins)):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
        response.headers["Access-Control-Expose-Headers"] = _READABLE
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = _REMEMBERED_S
        return response
