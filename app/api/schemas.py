"""Schemas of requests and answers. Requests are strict: "1" is not a number."""

import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from app.api.pictures import decode
from app.people_fields import MAX_ID as MAX_ID
from app.people_fields import MaybeName as MaybeName
from app.people_fields import Name as Name
from app.recognition.quality import Grade

FRAMES = 15  # the liveness service looks for a blink in this many

_MAX_MEMBERS = 100  # comparing so many with the names of checks takes 5 ms
_MAX_MISSPELT = 40  # characters; longer names are not compared
_MIN_SIMILARITY = 0.8  # of two names, by the ratio of SequenceMatcher


def _not_zero(vector: list[float]) -> list[float]:
    if not any(vector):
        raise ValueError("is all zeros")
    return vector


def _check_count(given: list[object], info: ValidationInfo) -> None:
    """Refuse more than MAX_VECTORS_PER_EMPLOYEE entries, before any of them is processed."""
    limit = (info.context or {})["max_vectors"]
    if len(given) > limit:
        raise ValueError(f"has more than {limit} entries")


def decode_all(given: list[object], info: ValidationInfo) -> list[bytes]:
    """Decode a list of pictures."""
    _check_count(given, info)
    photos = []
    for number, text in enumerate(given, start=1):
        try:
            photos.append(decode(text))
        except ValueError as error:
            raise ValueError(f"picture {number} {error}") from error
    return photos


def _photos(given: object, info: ValidationInfo) -> list[bytes]:
    """Decode one picture or a list of pictures."""
    return decode_all(given, info) if isinstance(given, list) else [decode(given)]


def _vectors(given: object, info: ValidationInfo) -> object:
    if not isinstance(given, list):
        return given
    if any(isinstance(number, int | float) for number in given):
        raise ValueError("must be a list of feature vectors, like [[0.1, 0.2, 0.3]]")
    _check_count(given, info)
    return given


Vector = Annotated[
    list[FiniteFloat], Field(min_length=1, max_length=4096), AfterValidator(_not_zero)
]
Vectors = Annotated[list[Vector], BeforeValidator(_vectors)]
PHOTO = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "a picture in base64, with or without a data URL's prefix",
}
PHOTOS = {"type": "array", "items": PHOTO}

# Frames are decoded and validated only if a check needs them.
Frame = Annotated[Any, WithJsonSchema(PHOTO)]
Photo = Annotated[bytes, BeforeValidator(decode), WithJsonSchema(PHOTO)]
Photos = Annotated[
    list[bytes], BeforeValidator(_photos), WithJsonSchema({"anyOf": [PHOTO, PHOTOS]})
]


def decode_frames(frames: list[Any], check: str) -> list[bytes]:
    """Return the encoded pictures of the frames, which this check needs. Raises ValueError."""
    if len(frames) != FRAMES:
        raise ValueError(f"frames: {FRAMES} are needed for {check}, {len(frames)} were sent")
    decoded = []
    for number, frame in enumerate(frames):
        try:
            decoded.append(decode(frame))
        except ValueError as error:
            raise ValueError(f"frames.{number}: {error}") from error
    return decoded


def _fold(name: str) -> str:
    """Return the name without case, separators, and compatibility forms such as full width."""
    if len(name) > _MAX_MISSPELT:
        return name
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    return "".join(filter(str.isalnum, name.casefold()))


def _resembles(name: str, check: str) -> bool:
    """Return whether a folded name may be meant for a check, as "livenes" and "isliveness" are.

    It contains the first word of the check, or is at least 80 % like it.
    """
    if len(name) > _MAX_MISSPELT:
        return False
    similarity = SequenceMatcher(None, name, _fold(check), autojunk=False).ratio()
    return check.split("_")[0] in name or similarity >= _MIN_SIMILARITY


class Body(BaseModel):
    """A JSON object. Null members count as absent, and unknown members are ignored.

    example: a body to show to clients that do not send JSON.
    guards: members that request a security check, so that a misspelt one must be refused.
    nullable: members to which null does something.
    """

    model_config = ConfigDict(strict=True, extra="ignore", use_attribute_docstrings=True)

    example: ClassVar[str]
    guards: ClassVar[tuple[str, ...]] = ()
    nullable: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @cache
    def _names(cls) -> dict[str, str]:
        """Return the names of all members, by their folded names."""
        names: list[str] = []
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            names += map(str, alias.choices) if isinstance(alias, AliasChoices) else [name]
        return {_fold(name): name for name in names}

    @model_validator(mode="before")
    @classmethod
    def _refuse_misspelt_names(cls, given: object) -> object:
        """Drop null members, and refuse names that nearly match ours: a check must not be lost."""
        if not isinstance(given, dict):
            return given
        given = {
            name: value
            for name, value in given.items()
            if value is not None or name in cls.nullable
        }
        if len(given) > _MAX_MEMBERS:
            raise ValueError(f"the body has more than {_MAX_MEMBERS} members")
        for name in given:
            folded = _fold(name)
            similar = (check for check in cls.guards if _resembles(folded, check))
            known = cls._names().get(folded) or next(similar, name)
            if known != name:
                raise ValueError(f"{name!r} is not known, write it as {known}")
        return given


class StoreBody(Body):
    """Body of `POST` and `PUT /api/store/<employee_id>`; `img_features` override `img_base64`."""

    example = '{"name": "Grace", "surname": "Hopper", "img_base64": "..."}'

    name: Name
    surname: MaybeName
    img_features: Vectors | None = None
    """Feature vectors of the model that runs."""
    img_base64: Photos | None = None
    """One photo, or several of one person, in base64."""
    allow_similar: bool = False
    """Enrol a face that surely belongs to another employee already, for instance a twin."""

    @model_validator(mode="before")
    @classmethod
    def _prefer_vectors(cls, given: object) -> object:
        """Drop the pictures undecoded if there are vectors."""
        if isinstance(given, dict) and given.get("img_features"):
            return {name: value for name, value in given.items() if name != "img_base64"}
        return given

    @model_validator(mode="after")
    def _needs_photo_or_vectors(self) -> Self:
        if not self.img_features and not self.img_base64:
            raise ValueError("img_base64: a photo is needed, or img_features")
        return self


def _either_name(schema: dict[str, Any]) -> None:
    """Add to the JSON schema that the photo may have either of two names."""
    names = ("img_base64", "image_base64")
    schema["properties"] |= dict.fromkeys(names, PHOTO)
    schema["required"].remove(names[0])
    schema["oneOf"] = [{"required": [name]} for name in names]


class FindMatchBody(Body):
    """Body of `POST /api/find_match`."""

    model_config = ConfigDict(json_schema_extra=_either_name)

    example = '{"img_base64": "..."}'
    guards = ("liveness", "fraud_detection")

    photo: Photo = Field(validation_alias=AliasChoices("img_base64", "image_base64"))
    img_crop: bool = True
    """It has no effect: the face is looked for in any case."""
    fraud_detection: bool = False
    """Refuse photos and frames that look like a trick."""
    liveness: bool = False
    """Let the liveness service look at the frames."""
    frames: list[Frame] = Field(default_factory=list)
    """15 photos of the same moment; only for `liveness` and `fraud_detection`."""

    @model_validator(mode="before")
    @classmethod
    def _single_photo(cls, given: object) -> object:
        if isinstance(given, dict) and None not in map(given.get, ("img_base64", "image_base64")):
            raise ValueError("send either img_base64 or image_base64, not both")
        return given

    @model_validator(mode="after")
    def _decode_frames_for_checks(self) -> Self:
        """Replace the frames by encoded pictures; drop them if no check needs them."""
        wanted = [check for check in self.guards if getattr(self, check)]
        self.frames = decode_frames(self.frames, wanted[0]) if wanted else []
        return self


def described(**properties: object) -> dict[str, object]:
    """Return the JSON schema of an object with these members, all of them there."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def about(sentence: str, schema: Mapping[str, object]) -> dict[str, object]:
    """Return the same schema with a description."""
    return {**schema, "description": sentence}


def named(name: str, schema: dict[str, object]) -> dict[str, object]:
    """Return the same schema with a name, for generated clients."""
    return {"title": name, **schema}


# JSON schemas of the answers
_ID = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
_TEXT = {"type": "string"}
_MATRIX = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_VECTORS = about("feature vectors, one for each sample", _MATRIX)
EMPLOYEE = named("LoggedIn", described(_id=_ID, name=_TEXT, surname=_TEXT))
_USER = named("User", described(_id=_ID, name=_TEXT, surname=_TEXT, img=_VECTORS))
USERS = named("Users", described(users={"type": "array", "items": _USER}))
QUALITY = about("how good its photo was; null if unknown", {"enum": [*Grade, None]})
_SECONDS = about("in seconds since 1970; null if unknown", {"type": ["integer", "null"]})
_USED_PHOTO = described(
    photo_hash=_TEXT,
    until=about("when it is forgotten, in seconds since 1970", {"type": "number"}),
)
_SECOND = described(
    model=_TEXT,
    feature_vectors=_MATRIX,
    photo_hashes={"type": "array", "items": _TEXT},
    samples={"type": "array", "items": described(enrolled_at=_SECONDS, quality=QUALITY)},
)
EXPORT = named(
    "Export",
    described(
        _id=_ID,
        name=_TEXT,
        surname=_TEXT,
        enrolment_id=about("another one after each change", _TEXT),
        model=about("the face model that made the vectors", _TEXT),
        feature_vectors=_VECTORS,
        photo_hashes=about(
            "perceptual hashes of the photos, in hexadecimal", {"type": "array", "items": _TEXT}
        ),
        second_model=about(
            "what is stored of a second model; null if nothing is",
            {"anyOf": [_SECOND, {"type": "null"}]},
        ),
        samples={
            "type": "array",
            "items": described(sample_id=_TEXT, enrolled_at=_SECONDS, quality=QUALITY),
        },
        external_id={"type": ["string", "null"]},
        metadata={"type": "object"},
        groups={"type": "array", "items": _TEXT},
        enrolled_at=_SECONDS,
        updated_at=_SECONDS,
        used_photos=about(
            "hashes of photos used for logins, which count as used again",
            {"type": "array", "items": _USED_PHOTO},
        ),
    ),
)
STATUS = named("Status", described(status=_TEXT))
RELEASE = named("Release", described(version=_TEXT))
METRICS: dict[str, object] = {"type": "string"}
