"""An employee as a MongoDB document: the format written today, and the older one still read."""

import struct
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import numpy as np
from bson.binary import Binary, BinaryVectorDtype
from numpy.typing import NDArray
from pymongo import UpdateOne

from app.storage import Employee, Outline, UsedProbe
from app.storage.sealing import PLAIN, CannotOpen, Stored, VectorKeys

# Older documents hold `img` as lists of doubles and name no model; there was only this one.
LEGACY_MODEL = "vggface2"
LEGACY_DIMENSION = 512

_UNIT_WITHIN = 1e-4

_SEAL_FIELDS = ("sealed_with", "seal", "dimension")
FIELDS = (
    *("name", "surname", "img", "model", "enrolment_id", "photo_hashes", "unlogged"),
    *_SEAL_FIELDS,
)

PROBES = "used_probes"

_FIRST_VECTOR = {"$cond": [{"$isArray": "$img"}, {"$arrayElemAt": ["$img", 0]}, None]}
_IS_LEGACY = {
    "$let": {
        "vars": {"first": _FIRST_VECTOR},
        "in": {
            "$eq": [
                {"$cond": [{"$isArray": "$$first"}, {"$size": "$$first"}, 0]},
                LEGACY_DIMENSION,
            ]
        },
    }
}
# The model as from_document finds it, as an aggregation expression.
MODEL: Mapping[str, Any] = {"$ifNull": ["$model", {"$cond": [_IS_LEGACY, LEGACY_MODEL, None]}]}
# The name of the key that its vectors are sealed with, as an aggregation expression.
SEALED_WITH: Mapping[str, Any] = {"$ifNull": ["$sealed_with", PLAIN]}


class UnreadableDocument(Exception):
    """The document is no employee in any format that was ever written."""


def to_document(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """The document of an employee."""
    return {
        "_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        **_sealed(employee, keys),
        "model": employee.model,
        "enrolment_id": employee.enrolment_id,
        "photo_hashes": list(employee.photo_hashes),
    }


def sealing(employee: Employee, keys: VectorKeys) -> UpdateOne:
    """What seals an employee's vectors anew, unless they were enrolled anew meanwhile."""
    fields = _sealed(employee, keys)
    return UpdateOne(
        # None finds documents without the field, too
        {"_id": employee.employee_id, "enrolment_id": employee.enrolment_id or None},
        {
            "$set": fields | {"model": employee.model},
            "$unset": {name: True for name in _SEAL_FIELDS if name not in fields},
        },
    )


def _sealed(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """What depends on the key: plain vectors are BSON binary float32 vectors (subtype 9)."""
    stored = keys.seal(employee)
    if stored.sealed_with == PLAIN:
        vectors = [
            Binary.from_vector(vector, BinaryVectorDtype.FLOAT32) for vector in employee.vectors
        ]
        return {"img": vectors}
    return {
        "img": stored.vectors,
        "sealed_with": stored.sealed_with,
        "seal": stored.seal,
        "dimension": employee.vectors.shape[1],
    }


def from_document(document: Mapping[str, Any], keys: VectorKeys) -> Employee:
    """The employee of a document. Raises UnreadableDocument."""
    try:
        vectors = _vectors(document, keys)
        model = document.get("model")
        if model is None and vectors.shape[1] == LEGACY_DIMENSION:
            model = LEGACY_MODEL
        if not isinstance(model, str):
            raise UnreadableDocument("the model of its vectors is unknown")
        return Employee(
            employee_id=_whole_number(document["_id"]),
            name=_text(document.get("name")),
            surname=_text(document.get("surname")),
            vectors=vectors,
            model=model,
            enrolment_id=_text(document.get("enrolment_id")),
            photo_hashes=tuple(bytes(each) for each in document.get("photo_hashes") or ()),
        )
    except (KeyError, TypeError, ValueError, OverflowError, struct.error, CannotOpen) as error:
        raise UnreadableDocument(str(error)) from error


def outline(document: Mapping[str, Any], keys: VectorKeys) -> Outline:
    """Who a document is of, whether or not its vectors can be read."""
    employee_id = document["_id"]
    if isinstance(employee_id, float) and employee_id.is_integer():
        employee_id = int(employee_id)
    name, surname = (str(document.get(each) or "") for each in ("name", "surname"))
    try:
        model = from_document(document, keys).model
    except UnreadableDocument:
        model = None
    return Outline(str(employee_id), name, surname, model)


def _vectors(document: Mapping[str, Any], keys: VectorKeys) -> NDArray[np.float32]:
    """(n, dimension) float32, unit length."""
    if (name := document.get("sealed_with")) is None:
        keys.must_hold(PLAIN)
        return np.stack([_vector(vector) for vector in document["img"]])
    stored = Stored(document["img"], name, document["seal"])
    employee_id = _whole_number(document["_id"])
    return keys.open(stored, employee_id, document["model"], document["dimension"])


def using_probe(probe: UsedProbe, keep: int) -> Mapping[str, Any]:
    """The update of a document that adds a used probe to the last `keep` ones.

    Each has an id of its own, by which `same_probes` tells it from all others.
    """
    added = {"photo_hash": probe.photo_hash, "until": probe.until, "use": uuid4().hex}
    return {"$push": {PROBES: {"$each": [added], "$slice": -keep - 1}}}


def same_probes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The query for a document whose used probes are still those of this one."""
    probes = document.get(PROBES) or ()
    if not probes:
        return {f"{PROBES}.0": {"$exists": False}}
    # they are only ever added at the end, so the last one tells
    return {PROBES: {"$size": len(probes)}, f"{PROBES}.{len(probes) - 1}": probes[-1]}


def used_probes(document: Mapping[str, Any]) -> list[UsedProbe]:
    """The used probes of a document, in the order in which they were used."""
    probes = document.get(PROBES) or ()
    return [UsedProbe(bytes(probe["photo_hash"]), probe["until"]) for probe in probes]


def _vector(stored: object) -> NDArray[np.float32]:
    """One feature vector: (dimension,) float32, unit length."""
    if isinstance(stored, Binary):
        decoded = stored.as_vector(return_numpy=True)
        if decoded.dtype is not BinaryVectorDtype.FLOAT32:
            raise ValueError(f"a vector is {decoded.dtype.name}, not FLOAT32")
        if abs(np.linalg.norm(decoded.data) - 1) < _UNIT_WITHIN:
            return np.asarray(decoded.data, dtype=np.float32)  # to the bit as it was stored
        stored = decoded.data
    doubles = np.asarray(stored, dtype=np.float64)
    norm = np.linalg.norm(doubles)
    if not 0 < norm < np.inf:
        raise ValueError("a vector is zero or not finite")
    vector = (doubles / norm).astype(np.float32)
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise ValueError("a vector is empty or not finite")
    return vector


def _whole_number(stored: object) -> int:
    # JavaScript clients write whole numbers as doubles.
    if isinstance(stored, bool) or not isinstance(stored, int | float) or stored != int(stored):
        raise ValueError("its _id is not a whole number")
    return int(stored)


def _text(stored: object) -> str:
    if stored is None:
        return ""
    if not isinstance(stored, str):
        raise ValueError("a name is not text")
    return stored
