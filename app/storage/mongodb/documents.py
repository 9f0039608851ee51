"""Employees as MongoDB documents: the current format, and the older one that is still read."""

import json
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from bson.binary import Binary, BinaryVectorDtype
from numpy.typing import NDArray
from pymongo import UpdateOne

from app.storage import Employee, Outline, Profile, Reference, Sample
from app.storage.names import words
from app.storage.sealing import PLAIN, CannotOpen, Stored, VectorKeys

# Documents of older releases hold `img` as lists of doubles, and name no model, because there was
# only this one.
LEGACY_MODEL = "vggface2"
LEGACY_DIMENSION = 512

_UNIT_TOLERANCE = 1e-4  # vectors whose norm is this close to 1 are not normalised again

_SEAL_FIELDS = ("sealed_with", "seal", "dimension")
_PROFILE_FIELDS = ("external_id", "metadata", "groups", "enrolled_at", "updated_at", "samples")
FIELDS = (
    *("name", "surname", "img", "model", "enrolment_id", "photo_hashes", "second", "unlogged"),
    *_SEAL_FIELDS,
    *_PROFILE_FIELDS,
)

_FIRST_VECTOR = {"$cond": [{"$isArray": "$img"}, {"$arrayElemAt": ["$img", 0]}, None]}
_LISTED = {"$cond": [{"$isArray": _FIRST_VECTOR}, _FIRST_VECTOR, []]}
_IS_LEGACY = {"$eq": [{"$size": _LISTED}, LEGACY_DIMENSION]}
# An aggregation expression for the model; `from_document` applies the same rule.
MODEL: Mapping[str, Any] = {"$ifNull": ["$model", {"$cond": [_IS_LEGACY, LEGACY_MODEL, None]}]}
# An aggregation expression for the name of the key that the vectors are sealed with.
SEALED_WITH: Mapping[str, Any] = {"$ifNull": ["$sealed_with", PLAIN]}


_UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, struct.error, CannotOpen)


class UnreadableDocument(Exception):
    """The document is not an employee in any known format."""


def to_document(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """Return the document of an employee."""
    return {
        "_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        **_vector_fields(employee.employee_id, employee.reference, keys),
        "model": employee.model,
        "enrolment_id": employee.enrolment_id,
        "photo_hashes": list(employee.photo_hashes),
        **_profile_fields(employee),
        **_second_field(employee, keys),
    }


def enrolment_query(employee_id: int, enrolment_id: str | None) -> dict[str, Any]:
    """Return the query for one enrolment of an employee."""
    # None also matches documents without the field.
    return {"_id": employee_id, "enrolment_id": enrolment_id}


def reseal_update(employee: Employee, keys: VectorKeys) -> UpdateOne:
    """Return the update that reseals an employee's vectors with the first key.

    It changes nothing if the employee was enrolled again meanwhile.
    """
    fields = _vector_fields(employee.employee_id, employee.reference, keys)
    fields |= _second_field(employee, keys)
    return UpdateOne(
        enrolment_query(employee.employee_id, employee.enrolment_id or None),
        {
            "$set": fields | {"model": employee.model},
            "$unset": {name: True for name in (*_SEAL_FIELDS, "second") if name not in fields},
        },
    )


def second_update(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """Return the update that stores the employee's second reference."""
    fields = _second_field(employee, keys)
    return {"$set": fields} if fields else {"$unset": {"second": True}}


def _second_field(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """Return the second reference; nothing if there is none."""
    if (second := employee.second) is None:
        return {}
    fields = _vector_fields(employee.employee_id, second, keys)
    return {
        "second": {
            "model": second.model,
            **fields,
            "samples": _samples_json(second.samples),
            "photo_hashes": list(second.photo_hashes),
            "of_logins": second.of_logins,
        }
    }


def _second(document: Mapping[str, Any], keys: VectorKeys) -> Reference | None:
    """Return the second reference; None if there is none, or it cannot be read."""
    try:
        second = document["second"] | {"_id": document["_id"]}
        hashes = tuple(bytes(each) for each in second["photo_hashes"])
        vectors, samples = _vectors(second, keys), _samples(second)
        return Reference(second["model"], vectors, samples, hashes, bool(second["of_logins"]))
    except _UNREADABLE:
        return None


def _vector_fields(employee_id: int, reference: Reference, keys: VectorKeys) -> dict[str, Any]:
    """Return the fields that depend on the key.

    Plain vectors are BSON binary float32 vectors (subtype 9).
    """
    stored = keys.seal(employee_id, reference)
    if stored.sealed_with == PLAIN:
        vectors = [
            Binary.from_vector(vector, BinaryVectorDtype.FLOAT32) for vector in reference.vectors
        ]
        return {"img": vectors}
    return {
        "img": stored.vectors,
        "sealed_with": stored.sealed_with,
        "seal": stored.seal,
        "dimension": reference.vectors.shape[1],
    }


def from_document(document: Mapping[str, Any], keys: VectorKeys) -> Employee:
    """Return the employee of a document. Raises UnreadableDocument."""
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
            samples=_samples(document),
            profile=_profile(document),
            second=_second(document, keys),
        )
    except _UNREADABLE as error:
        raise UnreadableDocument(str(error)) from error


def _profile_fields(employee: Employee) -> dict[str, Any]:
    """Return the fields that older releases do not know; those without a value are left out."""
    profile = employee.profile
    fields = {
        "external_id": profile.external_id,
        # As text, because names of members may hold what MongoDB gives a meaning.
        "metadata": json.dumps(profile.metadata, ensure_ascii=False) if profile.metadata else None,
        "groups": list(profile.groups) or None,
        "enrolled_at": profile.enrolled_at,
        "updated_at": profile.updated_at,
        "samples": _samples_json(employee.samples),
        "words": list(words(f"{employee.name} {employee.surname}")),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _samples_json(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [
        {
            "enrolled_at": sample.enrolled_at,
            "photo_hashes": sample.photo_hashes,
            "quality": sample.quality,
        }
        for sample in samples
    ]


def _profile(document: Mapping[str, Any]) -> Profile:
    """Return the profile; without what others wrote by hand in another form."""
    external_id, groups = document.get("external_id"), document.get("groups")
    try:
        metadata = json.loads(document.get("metadata") or "{}")
    except (TypeError, ValueError):
        metadata = {}
    return Profile(
        external_id if isinstance(external_id, str) else None,
        metadata if isinstance(metadata, dict) else {},
        tuple(each for each in groups if isinstance(each, str)) if isinstance(groups, list) else (),
        _seconds(document.get("enrolled_at")),
        _seconds(document.get("updated_at")),
    )


def _samples(document: Mapping[str, Any]) -> tuple[Sample, ...]:
    """Return the samples; () if older releases or others wrote them in another form."""
    try:
        return tuple(
            Sample(
                _seconds(each.get("enrolled_at")),
                int(each.get("photo_hashes") or 0),
                quality if isinstance(quality := each.get("quality"), str) else None,
            )
            for each in document.get("samples") or ()
        )
    except (AttributeError, TypeError, ValueError):
        return ()


def _seconds(stored: object) -> int | None:
    """Return seconds since 1970; None for what is no time before the year 5000."""
    return int(stored) if isinstance(stored, int | float) and 0 <= stored < 1e11 else None


def outline(document: Mapping[str, Any], keys: VectorKeys) -> Outline:
    """Return the outline of a document, even if its vectors cannot be read."""
    employee_id = document["_id"]
    if isinstance(employee_id, float) and employee_id.is_integer():
        employee_id = int(employee_id)
    name, surname = (str(document.get(each) or "") for each in ("name", "surname"))
    model = second = None
    with suppress(UnreadableDocument):
        employee = from_document(document, keys)
        model, second = employee.model, employee.second_model
    return Outline(str(employee_id), name, surname, model, second)


def _vectors(document: Mapping[str, Any], keys: VectorKeys) -> NDArray[np.float32]:
    """Return the vectors, (n, dimension) float32, unit length."""
    if (name := document.get("sealed_with")) is None:
        keys.check_known(PLAIN)
        return np.stack([_vector(vector) for vector in document["img"]])
    stored = Stored(document["img"], name, document["seal"])
    employee_id = _whole_number(document["_id"])
    return keys.open(stored, employee_id, document["model"], document["dimension"])


def _vector(stored: object) -> NDArray[np.float32]:
    """Return one feature vector, (dimension,) float32, unit length."""
    if isinstance(stored, Binary):
        decoded = stored.as_vector(return_numpy=True)
        if decoded.dtype is not BinaryVectorDtype.FLOAT32:
            raise ValueError(f"a vector is {decoded.dtype.name}, not FLOAT32")
        if abs(np.linalg.norm(decoded.data) - 1) < _UNIT_TOLERANCE:
            return np.asarray(decoded.data, dtype=np.float32)  # bit for bit as it was stored
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
