"""What requests hold. Strict: "false" is no boolean and "1" no number."""

import unicodedata
from contextlib import suppress
from typing import Annotated, Any, Self

import pybase64
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

FRAMES = 15
_SPACE = b" \t\r\n"
MAX_ID = 2**63 - 1


def _not_zero(vector: list[float]) -> list[float]:
    if not any(vector):
        raise ValueError("is all zeros")
    return vector


def _payload(text: object) -> str:
    """The base64 text without a data URL's prefix."""
    if not isinstance(text, str):
        raise ValueError("must be a picture in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if not text.strip():
        raise ValueError("is empty")
    return text


def _photo(text: object) -> bytes:
    """The bytes of a picture in base64, with or without the prefix of a data URL."""
    payload = _payload(text)
    with suppress(ValueError):
        return pybase64.b64decode(payload, validate=True)
    try:  # some encoders break lines
        return pybase64.b64decode(payload.encode("ascii").translate(None, _SPACE), validate=True)
    except ValueError as error:
        raise ValueError("is not base64") from error


def _few(given: list[object], info: ValidationInfo) -> None:
    """Refuse more than one employee may have, before any of them is looked at."""
    most = (info.context or {})["max_vectors"]
    if len(given) > most:
        raise ValueError(f"has more than {most} entries")


def _photos(given: object, info: ValidationInfo) -> list[bytes]:
    """One picture or a list of them."""
    if not isinstance(given, list):
        return [_photo(given)]
    _few(given, info)
    photos = []
    for number, text in enumerate(given, start=1):
        try:
            photos.append(_photo(text))
        except ValueError as error:
            raise ValueError(f"picture {number} {error}") from error
    return photos


def _plain(text: str) -> str:
    """Text that shows as what it is, in a list, a log or a terminal."""
    if any(unicodedata.category(char) in _CONTROL for char in text):
        raise ValueError("holds a control character or a line break")
    if not _REDIRECTING.isdisjoint(text):
        raise ValueError("holds a character that changes the direction of text")
    if all(unicodedata.category(char) in _INVISIBLE for char in text):
        raise ValueError("is empty")
    return text


# Marks of direction (U+200E and the like) and joiners are part of names in some scripts.
_REDIRECTING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = {"Cc", "Zl", "Zp"}
_INVISIBLE = {"Cf", "Cn", "Co", "Zs"}

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_plain),
]
Vector = Annotated[
    list[FiniteFloat], Field(min_length=1, max_length=4096), AfterValidator(_not_zero)
]
Frame = Annotated[str, BeforeValidator(_payload)]
_PHOTO = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "a picture in base64, with or without the prefix of a data URL",
}
_PHOTOS = {"anyOf": [_PHOTO, {"type": "array", "items": _PHOTO}]}

Photo = Annotated[bytes, BeforeValidator(_photo), WithJsonSchema(_PHOTO)]
Photos = Annotated[list[bytes], BeforeValidator(_photos), WithJsonSchema(_PHOTOS)]


def _vectors(given: object, info: ValidationInfo) -> object:
    if not isinstance(given, list):
        return given
    _few(given, info)
    if any(isinstance(number, int | float) for number in given):
        raise ValueError("must be a list of feature vectors, each of them a list of numbers")
    return given


Vectors = Annotated[list[Vector], BeforeValidator(_vectors)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class StoreBody(_Body):
    """`POST` and `PUT /api/store/<employee_id>`; `img_features` win over `img_base64`."""

    name: Name
    surname: Name
    img_features: Vectors | None = None
    img_base64: Photos | None = None

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
    schema["anyOf"] = [{"required": [name]} for name in names]


class FindMatchBody(_Body):
    """`POST /api/find_match`."""

    model_config = ConfigDict(json_schema_extra=_either_name)

    photo: Photo = Field(validation_alias=AliasChoices("img_base64", "image_base64"))
    img_crop: bool = True
    fraud_detection: bool = False
    liveness: bool = False
    frames: list[Frame] = Field(default_factory=list)

    _film: list[bytes] = PrivateAttr(default_factory=list)

    @property
    def film(self) -> list[bytes]:
        """The frames as encoded pictures, where a check needs them; else none."""
        return self._film

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
                self._film.append(_photo(frame))
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
