"""The call `comparisons`: do two photos show the same person?"""

from flask import Blueprint, Response, jsonify

from app.api.openapi import describe
from app.api.v2.answer_schemas import COMPARISON
from app.api.v2.bodies import read
from app.api.v2.schemas import ComparisonBody
from app.lifecycle import Service
from app.limiter import Limiter
from app.usecases.faces import Faces


def add(api: Blueprint, service: Service, faces: Faces, slots: Limiter) -> None:
    """Add the call. slots: it holds one until it is answered."""

    @api.post("/comparisons", endpoint="comparisons")
    @describe("Compare the faces of two photos", ComparisonBody, COMPARISON, errors=(422,))
    def compare() -> Response:
        with slots:
            matched, near = faces.compare(read(ComparisonBody).photos)
        return jsonify(
            matched=matched,
            distance=near.distance,
            comparison_score=near.score,
            model=service.recogniser.model.name,
        )
