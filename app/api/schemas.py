"""What requests hold. Strict: "false" is no boolean and "1" no number."""

import unicodedata
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
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from app.api.pictures import decode

FRAMES = 15
MAX_ID = 2**63 - 1


def _not_zero(vector: list[float]) -> list[float]:
    if not any(vector):
        raise ValueError("is all zeros")
    return vector


def _few(given: list[object], info: ValidationInfo) -> None:
    """Refuse more than one employee may have, before any of them is looked at."""
    most = (info.context or {})["max_vectors"]
    if len(given) > most:
        raise ValueError(f"has more than {most} entries")


def _photos(given: object, info: ValidationInfo) -> list[bytes]:
    """One picture or a list of them."""
    if not isinstance(given, list):
        return [decode(given)]
    _few(given, info)
    photos = []
    for number, text in enumerate(given, start=1):
        try:
            photos.append(decode(text))
        except ValueError as error:
            raise ValueError(f"picture {number} {error}") from error
    return photos


def _plain(text: str) -> str:
    """Text that shows as what it is, in a list, a log or a terminal."""
    if any(unicodedata.category(char) in _CONTROL for char in text):
        raise ValueError("holds a control character or a line break")
    if not _REDIRECTING.isdisjoint(text):
        raise ValueError("holds a character that changes the direction of text")
    if text and all(unicodedata.category(char) in _INVISIBLE for char in text):
        raise ValueError("holds nothing that shows")
    return text


# Marks of direction (U+200E and the like) and joiners are part of names in some scripts.
_REDIRECTING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = {"Cc", "Zl", "Zp"}
_INVISIBLE = {"Cf", "Cn", "Co", "Zs"}

_NAME = StringConstraints(strip_whitespace=True, max_length=200)

MaybeName = Annotated[str, _NAME, AfterValidator(_plain)]
Name = Annotated[str, _NAME, StringConstraints(min_length=1), AfterValidator(_plain)]
Vector = Annotated[
    list[FiniteFloat], Field(min_length=1, max_length=4096), AfterValidator(_not_zero)
]
_PHOTO = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "a picture in base64, with or without the prefix of a data URL",
}
_PHOTOS = {"anyOf": [_PHOTO, {"type": "array", "items": _PHOTO}]}

# decoded if a check needs them, else not even looked at
Frame = Annotated[Any, WithJsonSchema(_PHOTO)]
Photo = Annotated[bytes, BeforeValidator(decode), WithJsonSchema(_PHOTO)]
Photos = Annotated[list[bytes], BeforeValidator(_photos), WithJsonSchema(_PHOTOS)]


def _vectors(given: object, info: ValidationInfo) -> object:
    if not isinstance(given, list):
        return given
    if any(isinstance(number, int | float) for number in given):
        raise ValueError("must be a list of feature vectors, like [[0.1, 0.2, 0.3]]")
    _few(given, info)
    return given


Vectors = Annotated[list[Vector], BeforeValidator(_vectors)]


def _folded(name: str) -> str:
    """The name without case, separators, and what Unicode calls compatible, such as full width."""
    if len(name) > _LONGEST_MISSPELT:
        return name
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    return "".join(filter(str.isalnum, name.casefold()))


def _resembles(name: str, check: str) -> bool:
    """Whether a name, as `_folded` makes it, may ask for a check: "livenes", "is_liveness"."""
    if len(name) > _LONGEST_MISSPELT:
        return False
    alike = SequenceMatcher(None, name, _folded(check), autojunk=False).ratio()
    return check.split("_")[0] in name or alike >= _ALIKE


_LONGEST_MISSPELT = 40
_ALIKE = 0.8  # share of the letters
_MOST_MEMBERS = 100  # each is compared with the checks, which takes 5 ms for so many


class Body(BaseModel):
    """A JSON object. Members that are null were not given, and unknown ones are passed over.

    example: what a client may send, shown to one that sends something other than JSON.
    checks: members that nobody may be let in without, if they are asked for.
    """

    model_config = ConfigDict(strict=True, extra="ignore")

    example: ClassVar[str]
    checks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @cache
    def _names(cls) -> dict[str, str]:
        """The names of all members, by what they are without case and separators."""
        names: list[str] = []
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            names += map(str, alias.choices) if isinstance(alias, AliasChoices) else [name]
        return {_folded(name): name for name in names}

    @model_validator(mode="before")
    @classmethod
    def _only_what_was_given(cls, given: object) -> object:
        """Refuse a name that is nearly one of ours: a check was asked for, and must not be lost."""
        if not isinstance(given, dict):
            return given
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) > _MOST_MEMBERS:
            raise ValueError(f"the body has more than {_MOST_MEMBERS} members")
        for name in given:
            folded = _folded(name)
            near = (check for check in cls.checks if _resembles(folded, check))
            known = cls._names().get(folded) or next(near, name)
            if known != name:
                raise ValueError(f"{name!r} is not known, write it as {known}")
        return given


class StoreBody(Body):
    """`POST` and `PUT /api/store/<employee_id>`; `img_features` win over `img_base64`."""

    example = '{"name": "Grace", "surname": "Hopper", "img_base64": "..."}'

    name: Name
    surname: MaybeName
    img_features: Vectors | None = None
    img_base64: Photos | None = None

    @model_validator(mode="before")
    @classmethod
    def _vectors_win(cls, given: object) -> object:
        """With vectors, pictures are not even looked at."""
        if isinstance(given, dict) and given.get("img_features"):
            return {name: value for name, value in given.items() if name != "img_base64"}
        return given

    @model_validator(mode="after")
    def _something_to_store(self) -> Self:
        if not self.img_features and not self.img_base64:
            raise ValueError("img_base64: a photo is needed, or img_features")
        return self


def _either_name(schema: dict[str, Any]) -> None:
    """Describe that the photo may have either of two names."""
    names = ("img_base64", "image_base64")
    schema["properties"] |= dict.fromkeys(names, _PHOTO)
    schema["required"].remove(names[0])
    schema["oneOf"] = [{"required": [name]} for name in names]


class FindMatchBody(Body):
    """`POST /api/find_match`."""

    model_config = ConfigDict(json_schema_extra=_either_name)

    example = '{"img_base64": "..."}'
    checks = ("liveness", "fraud_detection")

    photo: Photo = Field(validation_alias=AliasChoices("img_base64", "image_base64"))
    # says that the client has cropped the picture, or not; the face is looked for in either case
    img_crop: bool = True
    fraud_detection: bool = False
    liveness: bool = False
    frames: list[Frame] = Field(default_factory=list)

    _encoded_frames: list[bytes] = PrivateAttr(default_factory=list)

    @property
    def encoded_frames(self) -> list[bytes]:
        """The frames as encoded pictures, where a check needs them; else none."""
        return self._encoded_frames

    @model_validator(mode="before")
    @classmethod
    def _one_photo(cls, given: object) -> object:
        if isinstance(given, dict) and None not in map(given.get, ("img_base64", "image_base64")):
            raise ValueError("send either img_base64 or image_base64, not both")
        return given

    @model_validator(mode="after")
    def _frames_for_checks(self) -> Self:
        if not self.liveness and not self.fraud_detection:
            return self
        if len(self.frames) != FRAMES:
            check = "liveness" if self.liveness else "fraud_detection"
            raise ValueError(
                f"frames: {FRAMES} are needed for {check}, {len(self.frames)} were sent"
            )
        for number, frame in enumerate(self.frames):
            try:
                self._encoded_frames.append(decode(frame))
            except ValueError as error:
                raise ValueError(f"frames.{number}: {error}") from error
        return self


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


# What answers hold, as JSON schemas.
_ID = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
_TEXT = {"type": "string"}
_MATRIX = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
EMPLOYEE = _object(_id=_ID, name=_TEXT, surname=_TEXT)
USERS = _object(
    users={"type": "array", "items": _object(_id=_ID, name=_TEXT, surname=_TEXT, img=_MATRIX)}
)
_USED_PHOTO = _object(photo_hash=_TEXT, until={"type": "number"})
EXPORT = _object(
    _id=_ID,
    name=_TEXT,
    surname=_TEXT,
    enrolment_id=_TEXT,
    model=_TEXT,
    feature_vectors=_MATRIX,
    photo_hashes={"type": "array", "items": _TEXT},
    used_photos={"type": "array", "items": _USED_PHOTO},
)
STATUS = _object(status=_TEXT)
