"""Schemas of requests and answers under `/api/v2`. Unknown members are refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from app.api import schemas
from app.api.schemas import (
    MAX_ID,
    PHOTOS,
    Frame,
    Photo,
    Vector,
    decode_all,
    decode_frames,
    named,
)
from app.api.schemas import described as _object
from app.people_fields import Group as Group
from app.recognition.challenge import CHALLENGES

MOST_CANDIDATES = 20

Check = Literal["liveness", "fraud"]


def _photos(given: object, info: ValidationInfo) -> object:
    return decode_all(given, info) if isinstance(given, list) else given


Photos = Annotated[
    list[bytes], Field(min_length=1), BeforeValidator(_photos), WithJsonSchema(PHOTOS)
]
TwoPhotos = Annotated[
    list[bytes],
    Field(min_length=2, max_length=2),
    BeforeValidator(_photos),
    WithJsonSchema(PHOTOS | {"minItems": 2, "maxItems": 2}),
]


class Body(schemas.Body):
    """A body whose members are all known, because one that is ignored might be a restriction."""

    model_config = ConfigDict(extra="forbid")

    example = '{"photo": "..."}'


class PhotoBody(Body):
    """One photo."""

    photo: Photo


class PhotosBody(Body):
    """Several photos."""

    example = '{"photos": ["..."]}'

    photos: Photos


class ProbeBody(PhotoBody):
    """What a person shows to be let in. A threshold above the one in force changes nothing."""

    frames: list[Frame] = Field(default_factory=list)
    checks: list[Check] = Field(default_factory=list)
    threshold: Annotated[FiniteFloat, Field(gt=0, le=1)] | None = None
    group: Group | None = None
    session_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None

    @model_validator(mode="after")
    def _decode_frames_for_checks(self) -> Self:
        """Replace the frames by encoded pictures; drop them if nothing needs them."""
        self.checks = list(dict.fromkeys(self.checks))
        takers = [*self.checks, *(["session_id"] if self.session_id else [])]
        self.frames = decode_frames(self.frames, takers[0]) if takers else []
        return self


class VerificationBody(ProbeBody):
    """The same, and whom the person claims to be."""

    example = '{"photo": "...", "employee_id": 1}'

    employee_id: Annotated[int, Field(ge=0, le=MAX_ID)]


class CandidatesBody(Body):
    """A photo or a feature vector to search the gallery for."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["photo"]}, {"required": ["feature_vector"]}]}
    )

    photo: Photo | None = None
    feature_vector: Vector | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_CANDIDATES)] = 10
    group: Group | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.photo is None) == (self.feature_vector is None):
            raise ValueError("send either photo or feature_vector")
        return self


class ComparisonBody(Body):
    """Two photos to compare."""

    example = '{"photos": ["...", "..."]}'

    photos: TwoPhotos


# JSON schemas of the answers
Json = dict[str, Any]


def _list(items: object) -> Json:
    return {"type": "array", "items": items}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
_TEXT = {"type": "string"}
_BOOLEAN = {"type": "boolean"}
_POINT = _list(_NUMBER)
_SCORE = _or_null({"type": "number", "minimum": 0, "maximum": 1})
_CHECKS = _list({"enum": ["liveness", "fraud"]})
EMPLOYEE = named(
    "Employee",
    _object(
        employee_id={"type": "integer", "minimum": 0, "maximum": MAX_ID}, name=_TEXT, surname=_TEXT
    ),
)
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_FACE = dict[str, object](
    box=named("Box", _object(left=_NUMBER, top=_NUMBER, width=_NUMBER, height=_NUMBER)),
    landmarks=named("Landmarks", _object(**dict.fromkeys(LANDMARKS, _POINT))),
    detection_score=_NUMBER,
)
LIVENESS_SESSION = named(
    "LivenessSession",
    _object(
        session_id=_TEXT, challenge={"enum": list(CHALLENGES)}, moves=_list(_TEXT), expires_at=_TEXT
    ),
)
FACE = named("Face", _object(**_FACE))
IDENTIFICATION = named(
    "Identification", _object(match=EMPLOYEE, checks=_CHECKS, model=_TEXT, took_ms=_NUMBER)
)
VERIFICATION = named(
    "Verification",
    _object(verified={"const": True}, checks=_CHECKS, model=_TEXT, took_ms=_NUMBER),
)
_CANDIDATE = named(
    "Candidate", _object(employee=EMPLOYEE, distance=_NUMBER, comparison_score=_SCORE)
)
CANDIDATES = named(
    "Candidates",
    _object(face=_or_null(FACE), candidates=_list(_CANDIDATE), threshold=_NUMBER, model=_TEXT),
)
COMPARISON = named(
    "Comparison",
    _object(matched=_BOOLEAN, distance=_NUMBER, comparison_score=_SCORE, model=_TEXT),
)
_JUDGED_FACE = named(
    "JudgedFace",
    _object(
        **_FACE,
        quality={"type": "object", "additionalProperties": _NUMBER},
        usable=_BOOLEAN,
        code=_or_null(_TEXT),
        advice=_or_null(_TEXT),
    ),
)
FACES = named("Faces", _object(width=_WHOLE, height=_WHOLE, faces=_list(_JUDGED_FACE)))
_VECTOR = named("FeatureVector", _object(feature_vector=_list(_NUMBER)))
_NO_VECTOR = named("NoFeatureVector", _object(code=_TEXT, detail=_TEXT))
FEATURE_VECTORS = named(
    "FeatureVectors", _object(model=_TEXT, vectors=_list({"anyOf": [_VECTOR, _NO_VECTOR]}))
)
