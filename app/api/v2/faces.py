"""The call `faces`: where are faces in a photo, and can they be enrolled?"""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from app.access import Role
from app.api.access import allow
from app.api.openapi import describe
from app.api.v2.answer_schemas import FACES
from app.api.v2.answers import face_json
from app.api.v2.bodies import read
from app.api.v2.schemas import PhotoBody
from app.limiter import Limiter
from app.recognition.described import DescribedFace
from app.usecases.faces import Faces

# What the answer calls measures that have short names in the pipeline.
_NAMES = {"side": "size_px", "frequency": "sharpness"}


def add(api: Blueprint, faces: Faces, slots: Limiter) -> None:
    """Add the call. slots: it holds one until it is answered."""

    @api.post("/faces", endpoint="faces")
    @allow(Role.LOGIN, Role.ENROL)
    @describe("Find the faces of a photo, and judge their quality", PhotoBody, FACES, errors=(422,))
    def find_faces() -> Response:
        with slots:
            photo = faces.describe(read(PhotoBody).photo)
        found = [_described_json(face) for face in photo.faces]
        return jsonify(width=photo.width, height=photo.height, faces=found)


def _described_json(described: DescribedFace) -> dict[str, Any]:
    quality = asdict(described.quality).items()
    flaw = described.flaw
    return {
        **face_json(described.face),
        "quality": {_NAMES.get(name, name): round(value, 4) for name, value in quality},
        "usable": flaw is None,
        "code": flaw and flaw.code,
        "advice": flaw and str(flaw),
    }
