"""Who may call an endpoint: keys, roles, and limits."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from flask import current_app, g, request

from app.access import Key, Role
from app.access.addresses import parse
from app.access.keys import KeyRing
from app.access.rate_limits import RateLimits
from app.api.errors import Problem
from app.audit import AuditLog, Caller

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., Any])

_ROLES = "roles"
_REALM = 'Bearer realm="image registration"'


def allow(*roles: Role) -> Callable[[View], View]:
    """Let keys of these roles call an endpoint. One that says nothing is for admins."""

    def declare(view: View) -> View:
        setattr(view, _ROLES, roles)
        return view

    return declare


def public(view: View) -> View:
    """Let anyone call an endpoint, without a key and without limits."""
    setattr(view, _ROLES, None)
    return view


def roles_of(view: Callable[..., Any]) -> tuple[Role, ...] | None:
    """Whose keys may call an endpoint, beside admins'; None: anyone may, without a key."""
    roles: tuple[Role, ...] | None = getattr(view, _ROLES, ())
    return roles


class Access:
    """Decides whether a request is let in. Without keys everyone may do everything.

    proxies: how many in front append to X-Forwarded-For.
    """

    def __init__(
        self, keys: KeyRing, limits: RateLimits, audit: AuditLog, proxies: int = 0
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._audit = audit
        self._proxies = proxies

    def called(self) -> None:
        """Find out who calls, and count the request. Raises TooManyRequests."""
        key = self._key()
        g.key = key
        g.address, g.address_is_named = self._address()
        key_id = key.key_id if key else None
        self._audit.called_by(Caller(key_id, address(), g.request_id))
        if key_id:
            structlog.contextvars.bind_contextvars(key=key_id)
        if _roles() is not None:
            self._limits.check(address(), key_id)

    def let_in(self) -> None:
        """Return when the request may go on. Raises Problem 401 and 403, AuditUnavailable."""
        roles = _roles()
        if roles is None or request.endpoint is None or request.method == "OPTIONS":
            return
        if self._keys.required and (problem := _refusal(g.key, roles)):
            self._audit.write(
                "access", problem.code, method=request.method, endpoint=request.endpoint
            )
            raise problem

    def is_admin(self) -> bool:
        """Whether the caller may see feature vectors."""
        return not self._keys.required or (g.key is not None and g.key.may())

    def _address(self) -> tuple[str, bool]:
        """The caller's address, and whether a trusted proxy names it."""
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        if 0 < self._proxies <= len(forwarded) and (named := parse(forwarded[-self._proxies])):
            return named, True
        peer = request.remote_addr or "unknown"
        return parse(peer) or peer, False

    def _key(self) -> Key | None:
        presented = _presented()
        return self._keys.find(presented) if presented and self._keys.required else None


def _roles() -> tuple[Role, ...] | None:
    """As `roles_of` has them, for what is asked for."""
    return roles_of(current_app.view_functions[request.endpoint]) if request.endpoint else ()


def address() -> str:
    """The caller's address, behind as many proxies as TRUSTED_PROXIES says."""
    address: str = g.address
    return address


def own_address() -> str | None:
    """The same if a trusted proxy names it; None if it may be a frontend's, or another proxy's."""
    return address() if g.address_is_named else None


def warn_if_open(keys: KeyRing) -> None:
    """Say loudly that anyone who reaches the port may do everything."""
    if not keys.required:
        log.warning(
            "OPEN TO EVERYONE: whoever reaches this port can enrol, read and delete people. "
            "Set API_KEYS or API_KEYS_FILE."
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
        return Problem(403, "key_insufficient", f"that takes an API key of the role {needed}")
    return None


def _presented() -> str | None:
    """The key of the request. (werkzeug reads Latin-1, so any bytes are some text.)"""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key") or None
