"""The call `feature-vectors`: photos as the vectors that are enrolled."""

from typing import Any

from flask import Blueprint, Response, jsonify

from app.api.openapi import describe
from app.api.v2.answer_schemas import FEATURE_VECTORS
from app.api.v2.bodies import read
from app.api.v2.schemas import PhotosBody
from app.lifecycle import Service
from app.limiter import Limiter
from app.recognition import NotAnImage, UnusableImage
from app.usecases.faces import Faces


def add(api: Blueprint, service: Service, faces: Faces, slots: Limiter) -> None:
    """Add the call. slots: it holds one until it is answered."""

    @api.post("/feature-vectors", endpoint="feature_vectors")
    @describe("Turn photos into feature vectors", PhotosBody, FEATURE_VECTORS)
    def make_feature_vectors() -> Response:
        with slots:
            vectors = [_vector_json(faces, photo) for photo in read(PhotosBody).photos]
        return jsonify(model=service.recogniser.model.name, vectors=vectors)


def _vector_json(faces: Faces, photo: bytes) -> dict[str, Any]:
    try:
        return {"feature_vector": faces.vector(photo).tolist()}
    except (UnusableImage, NotAnImage) as error:
        return {"code": error.code, "detail": str(error)}
