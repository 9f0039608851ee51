"""Decide who may call an endpoint: API keys, roles and rate limits."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from flask import current_app, g, request

from app.access import Key, Role
from app.access.api_keys import KeyRing
from app.access.client_address import parse
from app.access.rate_limits import RateLimits
from app.api.errors import Problem
from app.audit import AuditLog, Caller

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., Any])

_ROLES = "roles"
_REALM = 'Bearer realm="image registration"'


def allow(*roles: Role) -> Callable[[View], View]:
    """Let API keys of these roles call an endpoint. Without this decorator, only admins may."""

    def declare(view: View) -> View:
        setattr(view, _ROLES, roles)
        return view

    return declare


def public(view: View) -> View:
    """Let anyone call an endpoint, without an API key and without rate limits."""
    setattr(view, _ROLES, None)
    return view


def roles_of(view: Callable[..., Any]) -> tuple[Role, ...] | None:
    """Return the roles that may call an endpoint in addition to admin; None if it is public."""
    roles: tuple[Role, ...] | None = getattr(view, _ROLES, ())
    return roles


class Access:
    """Decides whether a request may go on. If no API keys are set up, every request may.

    proxies: the number of proxies in front that append to X-Forwarded-For.
    """

    def __init__(
        self, keys: KeyRing, limits: RateLimits, audit: AuditLog, proxies: int = 0
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._audit = audit
        self._proxies = proxies

    def identify(self) -> None:
        """Identify the caller, and count the request. Raises TooManyRequests."""
        key = self._key()
        g.key = key
        g.address, g.address_is_forwarded = self._address()
        key_id = key.key_id if key else None
        self._audit.called_by(Caller(key_id, address(), g.request_id))
        if key_id:
            structlog.contextvars.bind_contextvars(key=key_id)
        if _roles() is not None:
            self._limits.check(address(), key_id)

    def authorise(self) -> None:
        """Return if the caller may make this request. Raises Problem 401 or 403, AuditUnavailable.

        Every refusal is written to the audit log.
        """
        roles = _roles()
        if roles is None or request.endpoint is None or request.method == "OPTIONS":
            return
        if self._keys.required and (problem := _refusal(g.key, roles)):
            self._audit.write(
                "access", problem.code, method=request.method, endpoint=request.endpoint
            )
            raise problem

    def is_admin(self) -> bool:
        """Return whether the caller may see feature vectors."""
        return not self._keys.required or (g.key is not None and g.key.may())

    def _address(self) -> tuple[str, bool]:
        """Return the caller's address, and whether a trusted proxy forwarded it."""
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        if 0 < self._proxies <= len(forwarded) and (named := parse(forwarded[-self._proxies])):
            return named, True
        peer = request.remote_addr or "unknown"
        return parse(peer) or peer, False

    def _key(self) -> Key | None:
        presented = _presented()
        return self._keys.find(presented) if presented and self._keys.required else None


def _roles() -> tuple[Role, ...] | None:
    """Return the roles of the requested endpoint, as `roles_of` does; () if there is none."""
    return roles_of(current_app.view_functions[request.endpoint]) if request.endpoint else ()


def address() -> str:
    """Return the caller's address, looking past TRUSTED_PROXIES proxies."""
    address: str = g.address
    return address


def scope() -> frozenset[str] | None:
    """Return the groups whose people exist for the caller's API key; None means everybody."""
    key: Key | None = g.key
    return key.groups if key else None


def key_id() -> str:
    """Return the id of the caller's API key; "" without keys."""
    key: Key | None = g.key
    return key.key_id if key else ""


def roles() -> list[Role]:
    """Return the roles of the caller's API key; all of them without keys."""
    key: Key | None = g.key
    return sorted(key.roles) if key else list(Role)


def own_address() -> str | None:
    """Return the caller's address if a trusted proxy forwarded it, else None.

    Without a trusted proxy, the peer may be a frontend or a proxy that many people share.
    """
    return address() if g.address_is_forwarded else None


def warn_if_open(keys: KeyRing) -> None:
    """Log a warning if requests need no API key."""
    if not keys.required:
        log.warning(
            "OPEN TO EVERYONE: anyone who can reach this port can enrol, read and delete "
            "employees. Set API_KEYS or API_KEYS_FILE."
        )


def _refusal(key: Key | None, roles: tuple[Role, ...]) -> Problem | None:
    if key is None and not _presented():
        sentence = "send an API key, as Authorization: Bearer or X-API-Key"
        return Problem(401, "key_missing", sentence, headers={"WWW-Authenticate": _REALM})
    if key is None:
        challenge = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
        return Problem(401, "key_unknown", "the API key is not known", headers=challenge)
    if not key.may(*roles):
        needed = " or ".join(dict.fromkeys([*roles, Role.ADMIN]))
        return Problem(403, "key_insufficient", f"this needs an API key with the role {needed}")
    return None


def _presented() -> str | None:
    """Return the API key that the request carries, or None.

    werkzeug decodes headers as Latin-1, so this works for any bytes.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key") or None
