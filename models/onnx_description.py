"""The JSON file that describes an ONNX embedding network of the operator's own."""

import codecs
import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# So many of a vector are compared. No two networks agree on them by chance, and a log that names
# them holds no vector.
KNOWN_NUMBERS = 5


def _digest(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("must be 64 hexadecimal digits")
    return value.lower()


def _for_each_colour(value: object) -> object:
    """Return one number three times, and a list as a tuple."""
    if isinstance(value, (int, float)):
        return (value,) * 3
    if isinstance(value, list) and len(value) == 3:
        return tuple(value)
    raise ValueError("must be a number, or a list of three")


def _answer(value: object) -> object:
    """Return a list as a tuple."""
    if isinstance(value, list) and len(value) == KNOWN_NUMBERS:
        return tuple(value)
    raise ValueError(f"must be a list of {KNOWN_NUMBERS} numbers")


_Mean = Annotated[float, Field(ge=0, le=255)]
_Scale = Annotated[float, Field(gt=0, le=1000)]


class OnnxDescription(BaseModel):
    """What a network takes and returns. docs/models.md explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    file: str = Field(min_length=1)  # path of the network, relative to the description's folder
    sha256: Annotated[str, AfterValidator(_digest)]
    licence: str = Field(min_length=1)
    side: int = Field(ge=32, le=512)  # rows and columns of the input in pixels
    dimension: int = Field(ge=16, le=4096)
    colours: Literal["RGB", "BGR"]
    mean: Annotated[tuple[_Mean, _Mean, _Mean], BeforeValidator(_for_each_colour)]
    scale: Annotated[tuple[_Scale, _Scale, _Scale], BeforeValidator(_for_each_colour)]
    alignment: Literal["arcface", "box"]
    margin: float = Field(0.0, ge=0, lt=1)  # around the box, as a share of the input's side
    mirrored: bool  # whether to add the vector of the mirrored face
    distance_scale: float = Field(gt=0, le=10)
    # the first numbers of the vector of `known_face`; without them, the start is refused
    known_answer: Annotated[tuple[float, ...] | None, BeforeValidator(_answer)] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.margin and self.alignment != "box":
            raise ValueError("margin is for the alignment box alone: remove it")
        return self

    @property
    def name(self) -> str:
        """The model's name: another one for all that makes other vectors."""
        decisive = (
            *(self.sha256, self.side, self.dimension, self.colours, self.mean, self.scale),
            *(self.alignment, self.margin, self.mirrored),
        )
        return f"onnx-{sha256(repr(decisive).encode()).hexdigest()[:12]}"


def read(path: Path) -> OnnxDescription:
    """Return the description in a file. Raise OSError, pydantic's ValidationError."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    return OnnxDescription.model_validate_json(content)
