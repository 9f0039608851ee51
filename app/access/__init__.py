"""Who may do what, and how often. Knows nothing of HTTP."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key is for. An admin may do everything."""

    LOGIN = "login"
    ENROL = "enrol"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: enough to recognise it, not enough to use it.

    sha256: the hash of the whole key, in hexadecimal. Keys hold 256 random bits, so that a fast
    hash is as good as a slow one.
    """

    key_id: str
    roles: frozenset[Role]
    sha256: str

    def may(self, *roles: Role) -> bool:
        """Whether it has one of the roles, or is an admin's."""
        return not self.roles.isdisjoint({*roles, Role.ADMIN})
