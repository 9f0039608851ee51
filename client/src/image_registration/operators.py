"""What the calls for operators return: audit entries, the system, the gallery, and imports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from image_registration.answers import Json

Existing = Literal["skip", "replace", "fail"]
"""What to do with people whose id is stored with another enrolment."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What somebody did. outcome: `ok`, or why it was refused. facts: all that is said beside."""

    time: datetime
    action: str
    outcome: str
    facts: Json


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A part of the audit log, the newest entry first. next_cursor: None on the last page."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a person of an export. line: its number, from 1.

    result: `created`, `unchanged`, `replaced`, `skipped` or `refused`; code, detail: why refused.
    """

    line: int
    result: str
    employee_id: int | None = None
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the service. state: `ok`, `off`, `failing` or `unknown`, for age_s seconds."""

    state: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Model:
    """The face model. dimension: of its vectors. licence: None for weights of one's own."""

    name: str
    dimension: int
    licence: str | None
    device: str


@dataclass(frozen=True, slots=True)
class SecondModel:
    """The model to which the company changes. enrolled: employees under both; None if unknown now.

    until: the last day on which logins enrol; None if there is no end.
    """

    name: str
    enrolled: int | None
    until: date | None


@dataclass(frozen=True, slots=True)
class Fpir:
    """The share of strangers taken for an employee, and its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FpirAtThreshold(Fpir):
    """The share of strangers taken for an employee at an α."""

    threshold: float


@dataclass(frozen=True, slots=True)
class SamePerson:
    """Two ids that are likely one person's, and how far apart they are."""

    one: int
    other: int
    distance: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the gallery says of itself. fpir, auto: None if the people are too few or too alike.

    first_with_one_vector: ids of 20 people with one sample; a photo that was not good comes first.
    compared: how many were compared with all others. threshold: α in force. auto: the α that the
    service would choose. same_person: the nearest first.
    """

    employees: int
    with_one_vector: int
    first_with_one_vector: tuple[int, ...]
    compared: int
    threshold: float
    fpir: Fpir | None
    likely_under_two_ids: int
    max_fpir: float
    auto: float | None
    fpir_by_threshold: tuple[FpirAtThreshold, ...]
    same_person: tuple[SamePerson, ...]


@dataclass(frozen=True, slots=True)
class System:
    """What runs, in the worker that answers. None: not known yet, or not to be told.

    second_model: None if the company does not change its model. employees: who can be found.
    threshold: α. workers: processes that answer. load: levels of the metrics. limits: settings that
    limit something.
    """

    version: str
    is_ready: bool
    parts: Mapping[str, Part]
    model: Model | None
    second_model: SecondModel | None
    store: str
    index: str
    employees: int | None
    threshold: float
    fpir: Fpir | None
    likely_under_two_ids: int | None
    workers: int
    load: Mapping[str, float]
    limits: Mapping[str, float | str]
