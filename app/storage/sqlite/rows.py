"""Employees as rows of SQLite."""

import base64
import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from app.storage import Employee, Profile, Reference, Sample
from app.storage.sealing import CannotOpen, Stored, VectorKeys
from app.storage.sqlite.schema import PHOTO_HASH_BYTES


def to_row(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """Return the columns of an employee."""
    stored, profile = keys.seal(employee.employee_id, employee.reference), employee.profile
    return {
        "employee_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        "enrolment_id": employee.enrolment_id,
        "photo_hashes": b"".join(employee.photo_hashes),
        "model": employee.model,
        "dimension": employee.vectors.shape[1],
        "external_id": profile.external_id,
        "metadata": json.dumps(profile.metadata, ensure_ascii=False),
        "group_names": json.dumps(profile.groups),
        "enrolled_at": profile.enrolled_at,
        "updated_at": profile.updated_at,
        "samples": json.dumps([employee.enrolment_id, *_samples_json(employee.samples)]),
        "second": _second_json(employee, keys),
        "qualities": json.dumps([employee.enrolment_id, *_qualities(employee.samples)]),
        "sealed_with": stored.sealed_with,
        "seal": stored.seal,
        "vectors": stored.vectors,
    }


def from_row(row: Mapping[str, Any], keys: VectorKeys) -> Employee:
    """Return the employee of a row. Raises CannotOpen."""
    stored = Stored(row["vectors"], row["sealed_with"], row["seal"])
    hashes, enrolment_id = row["photo_hashes"], row["enrolment_id"]
    of, *samples = json.loads(row["samples"])
    of_qualities, *qualities = json.loads(row["qualities"])
    qualities = qualities if of_qualities == enrolment_id else []
    return Employee(
        row["employee_id"],
        row["name"],
        row["surname"],
        keys.open(stored, row["employee_id"], row["model"], row["dimension"]),
        row["model"],
        enrolment_id,
        _photo_hashes(hashes),
        # An older release may have replaced the vectors, and left the samples.
        _samples(samples, qualities) if of == enrolment_id else (),
        Profile(
            row["external_id"],
            json.loads(row["metadata"]),
            tuple(json.loads(row["group_names"])),
            row["enrolled_at"],
            row["updated_at"],
        ),
        _second(row, keys),
    )


def _second_json(employee: Employee, keys: VectorKeys) -> str | None:
    """Return the second reference. Like the samples, it says of which enrolment it is."""
    if (second := employee.second) is None:
        return None
    stored = keys.seal(employee.employee_id, second)
    return json.dumps(
        {
            "of": employee.enrolment_id,
            "model": second.model,
            "dimension": second.vectors.shape[1],
            "samples": _samples_json(second.samples),
            "qualities": _qualities(second.samples),
            "photo_hashes": b"".join(second.photo_hashes).hex(),
            "of_logins": second.of_logins,
            "sealed_with": stored.sealed_with,
            "seal": stored.seal.hex(),
            "vectors": base64.b64encode(stored.vectors).decode(),
        }
    )


def _second(row: Mapping[str, Any], keys: VectorKeys) -> Reference | None:
    """Return the second reference; None if it cannot be read, or is of an earlier enrolment."""
    if row["second"] is None:
        return None
    try:
        second = json.loads(row["second"])
        if second["of"] != row["enrolment_id"]:
            return None
        vectors, seal = base64.b64decode(second["vectors"]), bytes.fromhex(second["seal"])
        stored, model = Stored(vectors, second["sealed_with"], seal), second["model"]
        opened = keys.open(stored, row["employee_id"], model, second["dimension"])
        hashes = _photo_hashes(bytes.fromhex(second["photo_hashes"]))
        samples = _samples(second["samples"], second.get("qualities", ()))
        return Reference(model, opened, samples, hashes, second["of_logins"])
    except (CannotOpen, KeyError, TypeError, ValueError):
        return None


def _samples_json(samples: Sequence[Sample]) -> list[list[int | None]]:
    return [[sample.enrolled_at, sample.photo_hashes] for sample in samples]


def _qualities(samples: Sequence[Sample]) -> list[str | None]:
    return [sample.quality for sample in samples]


def _samples(
    samples: Sequence[tuple[int | None, int]], qualities: Sequence[str | None]
) -> tuple[Sample, ...]:
    """Return the samples. qualities: one for each, or none if an older release wrote the row."""
    return tuple(
        Sample(enrolled_at, photo_hashes, quality)
        for (enrolled_at, photo_hashes), quality in zip_longest(samples, qualities)
    )


def _photo_hashes(joined: bytes) -> tuple[bytes, ...]:
    starts = range(0, len(joined), PHOTO_HASH_BYTES)
    return tuple(joined[start : start + PHOTO_HASH_BYTES] for start in starts)
