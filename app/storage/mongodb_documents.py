"""An employee as a MongoDB document: the format written today, and the older one still read."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from bson.binary import Binary, BinaryVectorDtype
from numpy.typing import NDArray

from app.storage import Employee, UsedProbe

# Older documents hold `img` as lists of doubles and name no model; there was only this one.
LEGACY_MODEL = "vggface2"
LEGACY_DIMENSION = 512

_UNIT_WITHIN = 1e-4

FIELDS = ("name", "surname", "img", "model", "enrolment_id", "photo_hashes")

PROBES = "used_probes"
MOST_PROBES = 1_000

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


class UnreadableDocument(Exception):
    """The document is no employee in any format that was ever written."""


def to_document(employee: Employee) -> dict[str, Any]:
    """The document of an employee: vectors are BSON binary float32 vectors (subtype 9)."""
    return {
        "_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        "img": [
            Binary.from_vector(vector, BinaryVectorDtype.FLOAT32) for vector in employee.vectors
        ],
        "model": employee.model,
        "enrolment_id": employee.enrolment_id,
        "photo_hashes": list(employee.photo_hashes),
    }


def from_document(document: Mapping[str, Any]) -> Employee:
    """The employee of a document. Raises UnreadableDocument."""
    try:
        vectors = np.stack([_vector(stored) for stored in document["img"]])
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
    except (KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise UnreadableDocument(str(error)) from error


def using_probe(probe: UsedProbe, now: float) -> list[Mapping[str, Any]]:
    """The update of a document that adds a used probe and forgets those that have expired."""
    known = {"$ifNull": [f"${PROBES}", []]}
    unexpired = {"$filter": {"input": known, "cond": {"$gt": ["$$this.until", now]}}}
    added = {"photo_hash": probe.photo_hash, "until": probe.until}
    everything = {"$concatArrays": [unexpired, [added]]}
    return [{"$set": {PROBES: {"$slice": [everything, -MOST_PROBES]}}}]


def used_probes(document: Mapping[str, Any], now: float) -> list[bytes]:
    """The hashes of a document's used probes that are remembered at `now`."""
    probes = document.get(PROBES) or ()
    return [bytes(probe["photo_hash"]) for probe in probes if probe["until"] > now]


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
