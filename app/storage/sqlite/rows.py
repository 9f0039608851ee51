"""Employees as rows of SQLite."""

import json
from collections.abc import Mapping
from typing import Any

from app.storage import Employee, Profile, Sample
from app.storage.sealing import Stored, VectorKeys
from app.storage.sqlite.schema import PHOTO_HASH_BYTES


def to_row(employee: Employee, keys: VectorKeys) -> dict[str, Any]:
    """Return the columns of an employee."""
    stored, profile = keys.seal(employee), employee.profile
    samples = [[sample.enrolled_at, sample.photo_hashes] for sample in employee.samples]
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
        "samples": json.dumps([employee.enrolment_id, *samples]),
        "sealed_with": stored.sealed_with,
        "seal": stored.seal,
        "vectors": stored.vectors,
    }


def from_row(row: Mapping[str, Any], keys: VectorKeys) -> Employee:
    """Return the employee of a row. Raises CannotOpen."""
    stored = Stored(row["vectors"], row["sealed_with"], row["seal"])
    hashes, enrolment_id = row["photo_hashes"], row["enrolment_id"]
    starts = range(0, len(hashes), PHOTO_HASH_BYTES)
    of, *samples = json.loads(row["samples"])
    return Employee(
        row["employee_id"],
        row["name"],
        row["surname"],
        keys.open(stored, row["employee_id"], row["model"], row["dimension"]),
        row["model"],
        enrolment_id,
        tuple(hashes[start : start + PHOTO_HASH_BYTES] for start in starts),
        # An older release may have replaced the vectors, and left the samples.
        tuple(Sample(*each) for each in samples) if of == enrolment_id else (),
        Profile(
            row["external_id"],
            json.loads(row["metadata"]),
            tuple(json.loads(row["group_names"])),
            row["enrolled_at"],
            row["updated_at"],
        ),
    )
