"""What calls return. Members that a newer service adds are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """Who was let in. checks: those passed."""

    employee_id: int
    name: str
    surname: str
    checks: tuple[str, ...]
    model: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class Verification:
    """The claimed employee was let in. checks: those passed."""

    checks: tuple[str, ...]
    model: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One face of an employee. source: `photo`, `feature_vector`, or None if unknown."""

    sample_id: str
    enrolled_at: datetime | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Employee:
    """Someone who is enrolled. Times are None if unknown.

    etag: which version this is, for `if_match`; None in lists.
    """

    employee_id: int
    name: str
    surname: str
    external_id: str | None
    metadata: Json
    groups: tuple[str, ...]
    model: str
    enrolled_at: datetime | None
    updated_at: datetime | None
    samples: tuple[Sample, ...]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that was left out. photo: its number, from 1. code, detail: why."""

    photo: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an enrolment stored. is_new: False if the employee was replaced."""

    employee: Employee
    refused: tuple[Refused, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. total: employees in all pages. next_cursor: None on the last page."""

    employees: tuple[Employee, ...]
    total: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels of the upright photo."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Face:
    """Where a face is. landmarks: (x, y) by name, for example `left_eye`."""

    box: Box
    landmarks: Mapping[str, tuple[float, float]]
    detection_score: float


@dataclass(frozen=True, slots=True)
class JudgedFace(Face):
    """A face, and whether it could be enrolled. code, advice: None if it could."""

    quality: Mapping[str, float]
    usable: bool
    code: str | None
    advice: str | None


@dataclass(frozen=True, slots=True)
class Faces:
    """All faces of a photo; the first is the one that a login takes."""

    width: int
    height: int
    faces: tuple[JudgedFace, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Someone who is near. comparison_score: the share of strangers who are less near, or None."""

    employee_id: int
    name: str
    surname: str
    distance: float
    comparison_score: float | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who is nearest. face: None if a feature vector was searched for."""

    face: Face | None
    candidates: tuple[Candidate, ...]
    threshold: float
    model: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How near two faces are. comparison_score: as of Candidate."""

    matched: bool
    distance: float
    comparison_score: float | None
    model: str


@dataclass(frozen=True, slots=True)
class FeatureVectors:
    """A vector for each photo, in order, or why there is none."""

    model: str
    vectors: tuple[tuple[float, ...] | Refused, ...]


def read(kind: type[T], answer: Json, **more: object) -> T:
    """Return an answer as `kind`. more: members that are not as in the answer. Raises TypeError."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    known = {name: _frozen(value) for name, value in answer.items() if name in names}
    return kind(**(known | more))


def read_sample(answer: Json) -> Sample:
    """Return a sample."""
    return read(Sample, answer, enrolled_at=_time(answer["enrolled_at"]))


def read_employee(answer: Json, etag: str | None = None) -> Employee:
    """Return an employee."""
    return read(
        Employee,
        answer,
        enrolled_at=_time(answer["enrolled_at"]),
        updated_at=_time(answer["updated_at"]),
        samples=tuple(read_sample(sample) for sample in answer["samples"]),
        etag=etag,
    )


def read_face(kind: type[T], answer: Json) -> T:
    """Return a face."""
    landmarks = {name: tuple(point) for name, point in answer["landmarks"].items()}
    return read(kind, answer, box=read(Box, answer["box"]), landmarks=landmarks)


def read_all(kind: type[T], answers: Sequence[Json]) -> tuple[T, ...]:
    """Return each answer as `kind`."""
    return tuple(read(kind, answer) for answer in answers)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _time(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
