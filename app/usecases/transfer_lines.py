"""The lines of an export: JSON objects, one a line, that any store can be filled from.

The first line names the format and the model that runs, one line follows for each employee, and
the last line has their number and the SHA-256 of all bytes before it.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import IO, Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.people_fields import ExternalId, Groups, MaybeName, Metadata
from app.recognition.perceptual_hash import BYTES as HASH_BYTES
from app.recognition.quality import Grade
from app.sentences import what_is_wrong
from app.storage import Employee, Profile, Sample
from models.catalogue import FaceModel

_MAX_LINE = 64 << 20  # bytes; 10,000 vectors of 1,024 numbers take 55 MB
_UNIT_TOLERANCE = 1e-3  # by which the length of a vector may differ from 1

T = TypeVar("T", bound=BaseModel)


class TransferRefused(Exception):
    """These lines cannot be imported, and none of them was. The message says why."""


class BadLine(ValueError):
    """The line is not an employee. The message says what is wrong."""


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Header(_Object):
    """The first line. model, dimension: of the service that wrote it."""

    format: Literal["employees"] = "employees"
    version: Literal[1] = 1
    model: str
    dimension: int


class _Footer(_Object):
    employees: int
    sha256: str


class _Sample(_Object):
    vector: str
    enrolled_at: int | None
    photo_hashes: Annotated[int, Field(ge=0)]
    quality: Grade | None = None


class _Line(_Object):
    employee_id: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    name: MaybeName
    surname: MaybeName
    external_id: ExternalId | None
    metadata: Metadata
    groups: Groups
    enrolled_at: int | None
    updated_at: int | None
    model: Annotated[str, Field(min_length=1, max_length=200)]
    enrolment_id: Annotated[str, Field(max_length=200)]
    samples: Annotated[list[_Sample], Field(min_length=1, max_length=10_000)]
    photo_hashes: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the lines that `check` has read are. employees: their number."""

    header: Header
    employees: int


def written(employees: Iterable[Employee], model: FaceModel) -> Iterator[bytes]:
    """Yield the lines of an export, without second references. model: the one that runs."""
    digest, count = sha256(), 0
    line = _line(Header(model=model.name, dimension=model.dimension).model_dump())
    digest.update(line)
    yield line
    for employee in employees:
        line = _line(_members(employee.under(model.name) or employee))
        digest.update(line)
        count += 1
        yield line
    yield _line({"employees": count, "sha256": digest.hexdigest()})


def read(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file. Raises TransferRefused if one is absurdly long."""
    while line := file.readline(_MAX_LINE + 1):
        if len(line) > _MAX_LINE:
            raise TransferRefused(f"a line is longer than {_MAX_LINE} bytes: this is no export")
        yield line


def check(lines: Iterable[bytes], model: FaceModel) -> Checked:
    """Read all lines. Raises TransferRefused unless they are whole, unchanged, and of this model.

    model: the one that runs here.
    """
    rest = iter(lines)
    last = next(rest, b"")
    header = _parsed(Header, last, "it does not begin like an export of employees")
    if (header.model, header.dimension) != (model.name, model.dimension):
        raise TransferRefused(
            f"its vectors are of the model {header.model} ({header.dimension} numbers), and this "
            f"service runs {model.name} ({model.dimension}): with FACE_MODEL, choose the same"
        )
    digest, count = sha256(), -1
    for line in rest:
        digest.update(last)
        last, count = line, count + 1
    footer = _parsed(_Footer, last, "its end is missing: it was cut off")
    if (footer.employees, footer.sha256) != (count, digest.hexdigest()):
        raise TransferRefused("it was changed or damaged: its checksum is another one")
    return Checked(header, count)


def employee_of(line: bytes, header: Header) -> Employee:
    """Return the employee of a line. Raises BadLine."""
    try:
        parsed = _Line.model_validate_json(line)
    except ValidationError as error:
        raise BadLine(_sentence(error)) from None
    vectors = _vectors(parsed, header)
    hashes = tuple(_photo_hash(text) for text in parsed.photo_hashes)
    samples = tuple(
        Sample(each.enrolled_at, each.photo_hashes, each.quality) for each in parsed.samples
    )
    if sum(sample.photo_hashes for sample in samples) > len(hashes):
        raise BadLine("photo_hashes: there are fewer than the samples say")
    # Records of old releases have no id, so make one that is the same at every import.
    enrolment_id = parsed.enrolment_id or blake2b(line.strip(), digest_size=16).hexdigest()
    return Employee(
        parsed.employee_id,
        parsed.name,
        parsed.surname,
        vectors,
        parsed.model,
        enrolment_id,
        hashes,
        samples,
        Profile(
            parsed.external_id,
            parsed.metadata,
            tuple(parsed.groups),
            parsed.enrolled_at,
            parsed.updated_at,
        ),
    )


def described(employee: Employee) -> dict[str, Any]:
    """Return what is stored of an employee beside vectors and hashes, as JSON has it."""
    profile = employee.profile
    return {
        "employee_id": employee.employee_id,
        "name": employee.name,
        "surname": employee.surname,
        "external_id": profile.external_id,
        "metadata": dict(profile.metadata),
        "groups": list(profile.groups),
        "enrolled_at": profile.enrolled_at,
        "updated_at": profile.updated_at,
        "model": employee.model,
        "enrolment_id": employee.enrolment_id,
    }


def _members(employee: Employee) -> dict[str, Any]:
    vectors = employee.vectors.astype("<f4", copy=False)
    return described(employee) | {
        "samples": [
            {
                "vector": base64.b64encode(vector.tobytes()).decode(),
                "enrolled_at": sample.enrolled_at,
                "photo_hashes": sample.photo_hashes,
                "quality": sample.quality,
            }
            for vector, sample in zip(vectors, employee.samples, strict=True)
        ],
        "photo_hashes": [photo_hash.hex() for photo_hash in employee.photo_hashes],
    }


def _vectors(line: _Line, header: Header) -> NDArray[np.float32]:
    """Return the vectors, (n, dimension). Raises BadLine."""
    try:
        encoded = [base64.b64decode(each.vector, validate=True) for each in line.samples]
    except ValueError:
        raise BadLine("samples: a vector is not in base64") from None
    sizes = {len(vector) for vector in encoded}
    if len(sizes) != 1 or sizes == {0} or min(sizes) % 4:
        raise BadLine("samples: the vectors are not of one dimension")
    vectors = np.frombuffer(b"".join(encoded), "<f4").reshape(len(encoded), -1).astype(np.float32)
    if line.model == header.model and vectors.shape[1] != header.dimension:
        raise BadLine(f"samples: the vectors do not have {header.dimension} numbers")
    # A vector that is not finite fails here, too.
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < _UNIT_TOLERANCE).all():
        raise BadLine("samples: a vector is not of length 1")
    return vectors


def _photo_hash(text: str) -> bytes:
    try:
        photo_hash = bytes.fromhex(text)
    except ValueError:
        photo_hash = b""
    if len(photo_hash) != HASH_BYTES:
        raise BadLine(f"photo_hashes: one is not {2 * HASH_BYTES} hexadecimal digits")
    return photo_hash


def _parsed(schema: type[T], line: bytes, complaint: str) -> T:
    try:
        return schema.model_validate_json(line)
    except ValidationError as error:
        if schema is Header and line[:1] == b"{":
            complaint = f"{complaint}: {_sentence(error)}"
        raise TransferRefused(complaint) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part)[:40] for part in first["loc"])
    return f"{field}: {what_is_wrong(first)}" if field else "it is not valid JSON"


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
