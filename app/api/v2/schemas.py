"""Schemas of requests under `/api/v2`. Unknown members are refused."""

from typing import Annotated, Literal, Self

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
)
from app.people_fields import Group as Group

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
    """At most as many as MAX_VECTORS_PER_EMPLOYEE."""


class ProbeBody(PhotoBody):
    """What a person shows to be let in. A threshold above the one in force changes nothing."""

    frames: list[Frame] = Field(default_factory=list)
    """15 photos of the same moment; only for `checks` and a liveness session."""
    checks: list[Check] = Field(default_factory=list)
    """What the person must pass beside the match."""
    threshold: Annotated[FiniteFloat, Field(gt=0, le=1)] | None = None
    """α, below which a distance matches; one above that in force changes nothing."""
    group: Group | None = None
    """Let only people of this group in."""
    session_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    """A liveness session, whose challenge the frames must show."""

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
    """Whom the person claims to be."""


class CandidatesBody(Body):
    """A photo or a feature vector to search the gallery for."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["photo"]}, {"required": ["feature_vector"]}]}
    )

    photo: Photo | None = None
    """A picture, whose main face is searched for."""
    feature_vector: Vector | None = None
    """A vector as `feature-vectors` returns it, instead of a photo."""
    limit: Annotated[int, Field(ge=1, le=MOST_CANDIDATES)] = 10
    """How many employees to list."""
    group: Group | None = None
    """Search only the people of this group."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.photo is None) == (self.feature_vector is None):
            raise ValueError("send either photo or feature_vector")
        return self


class ComparisonBody(Body):
    """Two photos to compare."""

    example = '{"photos": ["...", "..."]}'

    photos: TwoPhotos
    """Two pictures, whose main faces are compared."""
