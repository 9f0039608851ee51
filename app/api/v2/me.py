"""The call `me`: what may the caller do here? Pages ask it to show nothing else."""

from collections.abc import Collection

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.api.access import allow, key_id, roles, scope
from app.api.openapi import describe
from app.api.schemas import described, named

_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": _TEXT}
ME = named(
    "Me",
    described(
        keys_required={"type": "boolean"},
        key_id={"type": ["string", "null"]},
        roles={"type": "array", "items": {"enum": [role.value for role in Role]}},
        groups={"anyOf": [_LIST, {"type": "null"}]},
        checks={"type": "array", "items": {"enum": ["liveness", "fraud"]}},
    ),
)


def add(api: Blueprint, keys_required: bool, checks: Collection[str]) -> None:
    """Add the call. checks: those of a login that can be asked for."""

    @api.get("/me", endpoint="me")
    @allow(*Role)
    @describe("Tell what the caller may do", answers=ME)
    def show_me() -> Response:
        groups = scope()
        return jsonify(
            keys_required=keys_required,
            key_id=key_id() or None,
            roles=roles(),
            groups=None if groups is None else sorted(groups),
            checks=list(checks),
        )
