"""What calls return."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
class LivenessSession:
    """What a person must do to be let in, once. moves: to be shown to them, in order."""

    session_id: str
    challenge: str
    moves: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One face of an employee. source: `photo`, `feature_vector`, or None if unknown.

    quality: of the photo, `good` or `fair`; None if unknown.
    """

    sample_id: str
    enrolled_at: datetime | None
    source: str | None
    quality: str | None


@dataclass(frozen=True, slots=True)
class Employee:
    """Someone who is enrolled. Times are None if unknown.

    second_model: another model under which they are enrolled, or None. etag: which version this
    is, for `if_match`; None in lists.
    """

    employee_id: int
    name: str
    surname: str
    external_id: str | None
    metadata: Json
    groups: tuple[str, ...]
    model: str
    second_model: str | None
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


@dataclass(frozen=True, slots=True)
class Me:
    """What the API key may do. key_id: None without a key. groups: None means those of everybody.

    checks: those that a login can ask for.
    """

    keys_required: bool
    key_id: str | None
    roles: tuple[str, ...]
    groups: tuple[str, ...] | None
    checks: tuple[str, ...]
