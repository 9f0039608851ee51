"""Schemas of requests and answers about employees under `/api/v2`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.api.schemas import Photo, Vector, Vectors, named
from app.api.schemas import described as _object
from app.api.v2.schemas import Body, Json, Photos
from app.people_fields import MAX_ID, ExternalId, Group, Groups, MaybeName, Metadata, Name

MOST_LISTED = 1_000


class EmployeeBody(Body):
    """Everything that is stored of an employee. Send photos or feature vectors."""

    example = '{"name": "Grace", "surname": "Hopper", "photos": ["..."]}'

    name: Name
    surname: MaybeName = ""
    external_id: ExternalId | None = None
    metadata: Metadata = Field(default_factory=dict)
    groups: Groups | None = None
    photos: Photos | None = None
    feature_vectors: Vectors | None = None
    # Leave out photos that cannot be used, unless all of them cannot.
    partial: bool = False
    # Enrol a face that surely belongs to another employee already, for instance a twin.
    allow_similar: bool = False

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.photos) == bool(self.feature_vectors):
            raise ValueError("send either photos or feature_vectors")
        return self


class EmployeePatch(Body):
    """What to change. Members that are absent stay; null removes the `external_id`."""

    example = '{"surname": "Murray Hopper"}'
    nullable: ClassVar[tuple[str, ...]] = ("external_id",)

    name: Name | None = None
    surname: MaybeName | None = None
    external_id: ExternalId | None = None
    metadata: Metadata | None = None
    groups: Groups | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"send what to change: {', '.join(type(self).model_fields)}")
        return self


class SampleBody(Body):
    """A photo or a feature vector to add."""

    photo: Photo | None = None
    feature_vector: Vector | None = None
    allow_similar: bool = False

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.photo is None) == (self.feature_vector is None):
            raise ValueError("send either photo or feature_vector")
        return self


class ListQuery(Body):
    """Which employees to list. q: beginnings of words of the name. cursor: of the page before."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 100
    cursor: Annotated[str, StringConstraints(pattern=r"^(0|-?[1-9][0-9]{0,18})$")] | None = None
    q: Annotated[str, StringConstraints(max_length=200)] = ""
    group: Group | None = None
    external_id: ExternalId | None = None
    second_model: Literal["missing"] | None = None


_TEXT = {"type": "string"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
SAMPLE: Json = named(
    "Sample",
    _object(sample_id=_TEXT, enrolled_at=_TIME, source={"enum": ["photo", "feature_vector", None]}),
)
_REFUSED = named("RefusedPhoto", _object(photo={"type": "integer"}, code=_TEXT, detail=_TEXT))
_PERSON: Json = {
    "employee_id": {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    "name": _TEXT,
    "surname": _TEXT,
    "external_id": {"type": ["string", "null"]},
    "metadata": {"type": "object"},
    "groups": {"type": "array", "items": _TEXT},
    "model": _TEXT,
    "second_model": {"type": ["string", "null"]},
    "enrolled_at": _TIME,
    "updated_at": _TIME,
    "samples": {"type": "array", "items": SAMPLE},
}
PERSON: Json = named("Person", _object(**_PERSON))
ENROLLED: Json = named(
    "EnrolledPerson", _object(**_PERSON, refused={"type": "array", "items": _REFUSED})
)
PEOPLE: Json = named(
    "People",
    _object(
        employees={"type": "array", "items": PERSON},
        total={"type": "integer"},
        next_cursor={"type": ["string", "null"]},
    ),
)
