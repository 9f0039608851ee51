"""The call `candidates`: who of the gallery is nearest to a face?"""

from flask import Blueprint, Response, jsonify

from app.api.errors import Problem
from app.api.openapi import describe
from app.api.v2.answer_schemas import CANDIDATES
from app.api.v2.answers import employee_json, face_json
from app.api.v2.bodies import read
from app.api.v2.groups import chosen
from app.api.v2.schemas import CandidatesBody
from app.lifecycle import Service
from app.limiter import Limiter
from app.usecases.faces import Faces
from app.usecases.samples import WrongDimension


def add(api: Blueprint, service: Service, faces: Faces, slots: Limiter) -> None:
    """Add the call. slots: it holds one until it is answered."""

    @api.post("/candidates", endpoint="candidates")
    @describe("List the nearest employees", CandidatesBody, CANDIDATES, errors=(422,))
    def search_candidates() -> Response:
        with slots:
            body = read(CandidatesBody)
            face = None
            if body.photo is not None:
                face, vector = faces.locate(body.photo)
            else:
                try:
                    vector = faces.unit(body.feature_vector or ())
                except WrongDimension as error:
                    raise Problem(400, "wrong_dimension", f"feature_vector: {error}") from error
            people = faces.candidates(vector, body.limit, chosen(body.group))
        return jsonify(
            face=face and face_json(face),
            candidates=[
                {
                    "employee": employee_json(employee),
                    "distance": near.distance,
                    "comparison_score": near.score,
                }
                for employee, near in people
            ],
            threshold=service.threshold,
            model=service.recogniser.model.name,
        )
