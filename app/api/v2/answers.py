"""Faces and employees as answers under `/api/v2` hold them."""

from datetime import UTC, datetime
from typing import Any

from app.api.v2.answer_schemas import LANDMARKS
from app.recognition.detector import DetectedFace
from app.storage import Employee, Sample
from app.usecases.samples import Refused


def employee_json(employee: Employee) -> dict[str, Any]:
    """Return an employee without vectors."""
    return {
        "employee_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
    }


def person_json(employee: Employee) -> dict[str, Any]:
    """Return all that is stored of an employee, except vectors and hashes."""
    profile = employee.profile
    return {
        **employee_json(employee),
        "external_id": profile.external_id,
        "metadata": profile.metadata,
        "groups": profile.groups,
        "model": employee.model,
        "second_model": employee.second_model,
        "enrolled_at": time_json(profile.enrolled_at),
        "updated_at": time_json(profile.updated_at),
        "samples": samples_json(employee),
    }


def samples_json(employee: Employee) -> list[dict[str, Any]]:
    """Return the samples of an employee, without vectors."""
    return [
        {
            "sample_id": name,
            "enrolled_at": time_json(sample.enrolled_at),
            "source": _source(sample),
            "quality": sample.quality,
        }
        for name, sample in employee.named_samples()
    ]


def refused_json(refused: Refused) -> dict[str, Any]:
    """Return which photo was left out, and why."""
    reason = refused.reason
    return {"photo": refused.photo, "code": reason.code, "detail": str(reason)}


def _source(sample: Sample) -> str | None:
    """Return what a sample is of; None if an older release did not say."""
    if sample.photo_hashes:
        return "photo"
    return None if sample.enrolled_at is None else "feature_vector"


def time_json(seconds: int | None) -> str | None:
    """Return seconds since 1970 as RFC 3339 has it."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def face_json(face: DetectedFace) -> dict[str, Any]:
    """Return where a face is, in pixels of the upright photo."""
    left, top, right, bottom = face.box.tolist()
    points = [[round(x, 1), round(y, 1)] for x, y in face.landmarks.tolist()]
    return {
        "box": {
            "left": round(left, 1),
            "top": round(top, 1),
            "width": round(right - left, 1),
            "height": round(bottom - top, 1),
        },
        "landmarks": dict(zip(LANDMARKS, points, strict=True)),
        "detection_score": round(face.score, 4),
    }
