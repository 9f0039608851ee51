"""Schemas of requests and answers about employees under `/api/v2`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.api.schemas import QUALITY, Photo, Vector, Vectors, about, named
from app.api.schemas import described as _object
from app.api.v2.answer_schemas import Json
from app.api.v2.schemas import Body, Photos
from app.people_fields import MAX_ID, ExternalId, Group, Groups, MaybeName, Metadata, Name

MOST_LISTED = 1_000


class EmployeeBody(Body):
    """Everything that is stored of an employee. Send photos or feature vectors."""

    example = '{"name": "Grace", "surname": "Hopper", "photos": ["..."]}'

    name: Name
    surname: MaybeName = ""
    external_id: ExternalId | None = None
    """The id in another system; no two employees have the same."""
    metadata: Metadata = Field(default_factory=dict)
    """Up to 4,096 bytes of JSON, which the service does not look into."""
    groups: Groups | None = None
    """Names of sites, departments or doors, to which a login can be limited."""
    photos: Photos | None = None
    """Photos of one person."""
    feature_vectors: Vectors | None = None
    """Vectors as `feature-vectors` returns them, instead of photos."""
    partial: bool = False
    """Leave out photos that cannot be used, unless all of them cannot."""
    allow_similar: bool = False
    """Enrol a face that surely belongs to another employee already, for instance a twin."""

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
    """null removes it."""
    metadata: Metadata | None = None
    """The whole object is replaced."""
    groups: Groups | None = None
    """All groups are replaced."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"send what to change: {', '.join(type(self).model_fields)}")
        return self


class SampleBody(Body):
    """A photo or a feature vector to add."""

    photo: Photo | None = None
    """It must show the person of the other samples."""
    feature_vector: Vector | None = None
    """A vector as `feature-vectors` returns it, instead of a photo; it is taken as it is."""
    allow_similar: bool = False
    """Take a face that surely belongs to another employee already, for instance a twin."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.photo is None) == (self.feature_vector is None):
            raise ValueError("send either photo or feature_vector")
        return self


class ListQuery(Body):
    """Which employees to list."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 100
    """How many to list on a page."""
    cursor: Annotated[str, StringConstraints(pattern=r"^(0|-?[1-9][0-9]{0,18})$")] | None = None
    """The next_cursor of the page before."""
    q: Annotated[str, StringConstraints(max_length=200)] = ""
    """Words; each must begin a word of the name or surname."""
    group: Group | None = None
    """Only employees of this group."""
    external_id: ExternalId | None = None
    """Only the employee with this id in another system."""
    second_model: Literal["missing"] | None = None
    """Only employees who are not enrolled under a second model, too."""


_TEXT = {"type": "string"}
_TIME = about("null if unknown", {"type": ["string", "null"], "format": "date-time"})
SAMPLE: Json = named(
    "Sample",
    _object(
        sample_id=_TEXT,
        enrolled_at=_TIME,
        source=about("null if unknown", {"enum": ["photo", "feature_vector", None]}),
        quality=QUALITY,
    ),
)
_REFUSED = named(
    "RefusedPhoto",
    _object(
        photo=about("its number in the request, from 1", {"type": "integer"}),
        code=about("why, as an error has it", _TEXT),
        detail=about("one sentence for a person", _TEXT),
    ),
)
_PERSON: Json = {
    "employee_id": {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    "name": _TEXT,
    "surname": _TEXT,
    "external_id": about("the id in another system", {"type": ["string", "null"]}),
    "metadata": about("as it was sent", {"type": "object"}),
    "groups": {"type": "array", "items": _TEXT},
    "model": about("the face model that made the vectors", _TEXT),
    "second_model": about(
        "another model that they are enrolled under; null if there is none",
        {"type": ["string", "null"]},
    ),
    "enrolled_at": _TIME,
    "updated_at": _TIME,
    "samples": {"type": "array", "items": SAMPLE},
}
PERSON: Json = named("Person", _object(**_PERSON))
ENROLLED: Json = named(
    "EnrolledPerson",
    _object(
        **_PERSON,
        refused=about("the photos that were left out", {"type": "array", "items": _REFUSED}),
    ),
)
PEOPLE: Json = named(
    "People",
    _object(
        employees={"type": "array", "items": PERSON},
        total=about("employees on all pages", {"type": "integer"}),
        next_cursor=about("for the next page; null on the last", {"type": ["string", "null"]}),
    ),
)
