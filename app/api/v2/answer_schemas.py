"""JSON schemas of answers under `/api/v2`."""

from typing import Any

from app.api.schemas import MAX_ID, about, named
from app.api.schemas import described as _object
from app.recognition.challenge import CHALLENGES

Json = dict[str, Any]


def _list(items: object) -> Json:
    return {"type": "array", "items": items}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_BOOLEAN = {"type": "boolean"}
_POINT = _list(_NUMBER)
_SCORE = about(
    "the share of pairs of strangers that are farther apart; null if the model was not measured",
    _or_null({"type": "number", "minimum": 0, "maximum": 1}),
)
_DISTANCE = about("how far apart the faces are: 0 is the same photo, and α is the limit", _NUMBER)
_CHECKS = about("the checks that the person has passed", _list({"enum": ["liveness", "fraud"]}))
_MODEL = about("the face model that made the vectors", _TEXT)
_TOOK = about("milliseconds from the whole request to this answer", _NUMBER)
EMPLOYEE = named(
    "Employee",
    _object(
        employee_id={"type": "integer", "minimum": 0, "maximum": MAX_ID}, name=_TEXT, surname=_TEXT
    ),
)
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_FACE = dict[str, object](
    box=about(
        "Pixels of the upright photo. A box may reach beyond it.",
        named("Box", _object(left=_NUMBER, top=_NUMBER, width=_NUMBER, height=_NUMBER)),
    ),
    landmarks=about(
        "x and y in pixels of the upright photo; left and right as in the picture.",
        named("Landmarks", _object(**dict.fromkeys(LANDMARKS, _POINT))),
    ),
    detection_score=about("how sure it is that this is a face, 0 to 1", _NUMBER),
)
LIVENESS_SESSION = named(
    "LivenessSession",
    _object(
        session_id=about("to be sent with the login", _TEXT),
        challenge=about("what was drawn by lot, for programs", {"enum": list(CHALLENGES)}),
        moves=about("what to ask the person to do, in this order", _list(_TEXT)),
        expires_at=about("the moment after which no login takes it", _TIME),
    ),
)
FACE = named("Face", _object(**_FACE))
IDENTIFICATION = named(
    "Identification", _object(match=EMPLOYEE, checks=_CHECKS, model=_MODEL, took_ms=_TOOK)
)
VERIFICATION = named(
    "Verification",
    _object(
        verified=about("a refusal is an error", {"const": True}),
        checks=_CHECKS,
        model=_MODEL,
        took_ms=_TOOK,
    ),
)
_CANDIDATE = named(
    "Candidate", _object(employee=EMPLOYEE, distance=_DISTANCE, comparison_score=_SCORE)
)
CANDIDATES = named(
    "Candidates",
    _object(
        face=about("the face that was searched for; null for a feature vector", _or_null(FACE)),
        candidates=about("the nearest employees, the nearest first", _list(_CANDIDATE)),
        threshold=about("α in force, for normalised distances", _NUMBER),
        model=_MODEL,
    ),
)
COMPARISON = named(
    "Comparison",
    _object(
        matched=about("whether the distance is below VERIFICATION_THRESHOLD", _BOOLEAN),
        distance=_DISTANCE,
        comparison_score=_SCORE,
        model=_MODEL,
    ),
)
_JUDGED_FACE = named(
    "JudgedFace",
    _object(
        **_FACE,
        quality=about(
            "measures such as `sharpness`; docs/api-v2.md lists them",
            {"type": "object", "additionalProperties": _NUMBER},
        ),
        usable=about("whether it could be enrolled, if it were alone in the photo", _BOOLEAN),
        code=about("why not, as an enrolment's error has it; null if usable", _or_null(_TEXT)),
        advice=about("what the person should do; null if usable", _or_null(_TEXT)),
    ),
)
FACES = named(
    "Faces",
    _object(
        width=about("of the upright photo, in pixels", _WHOLE),
        height=about("of the upright photo, in pixels", _WHOLE),
        faces=about("the one that a login takes first", _list(_JUDGED_FACE)),
    ),
)
_VECTOR = named("FeatureVector", _object(feature_vector=about("of length 1", _list(_NUMBER))))
_NO_VECTOR = about(
    "Why the photo cannot be enrolled.", named("NoFeatureVector", _object(code=_TEXT, detail=_TEXT))
)
FEATURE_VECTORS = named(
    "FeatureVectors",
    _object(
        model=_MODEL,
        vectors=about("one for each photo, in order", _list({"anyOf": [_VECTOR, _NO_VECTOR]})),
    ),
)
