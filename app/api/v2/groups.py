"""Which groups a call may use: those that its API key is bound to, or any."""

from collections.abc import Sequence

from app.api.access import scope
from app.api.errors import Problem


def chosen(group: str | None) -> frozenset[str] | None:
    """Return the groups to search: the one asked for, else all of the key's. Raises Problem 403."""
    if group is None:
        return scope()
    _check([group])
    return frozenset([group])


def own(groups: Sequence[str] | None) -> tuple[str, ...]:
    """Return the groups to put an employee into, ascending; by default, all of the key's.

    Raises Problem 403.
    """
    bound = scope()
    if groups is None:
        return tuple(sorted(bound or ()))
    _check(groups)
    if bound is not None and not groups:
        raise _forbidden(bound)  # the employee would vanish for this key
    return tuple(groups)


def _check(groups: Sequence[str]) -> None:
    bound = scope()
    if bound is not None and not bound.issuperset(groups):
        raise _forbidden(bound)


def _forbidden(bound: frozenset[str]) -> Problem:
    sentence = f"this API key is bound to {', '.join(sorted(bound))}: name one of these groups"
    return Problem(403, "group_forbidden", sentence)
