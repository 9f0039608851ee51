"""Faces and employees as answers under `/api/v2` hold them."""

from typing import Any

from app.api.v2.schemas import LANDMARKS
from app.recognition.detector import DetectedFace
from app.storage import Employee


def employee_json(employee: Employee) -> dict[str, Any]:
    """Return an employee without vectors."""
    return {
        "employee_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
    }


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
