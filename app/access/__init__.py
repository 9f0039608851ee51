"""API keys, roles and rate limits, without HTTP."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an API key allows. An admin may do everything."""

    LOGIN = "login"
    ENROL = "enrol"
    MONITOR = "monitor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the service keeps it: enough to recognise the key, not enough to use it.

    groups: the groups whose people exist for this key; None means everybody.
    sha256: hash of the whole key, in hexadecimal. Keys hold 256 random bits, so a fast hash is as
    safe as a slow one.
    """

    key_id: str
    roles: frozenset[Role]
    sha256: str
    groups: frozenset[str] | None = None

    def may(self, *roles: Role) -> bool:
        """Return whether the key has one of the roles, or is an admin's."""
        return not self.roles.isdisjoint({*roles, Role.ADMIN})
