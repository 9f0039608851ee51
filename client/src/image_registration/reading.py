"""Read answers into dataclasses. Members that a newer service adds are left out."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import TypeVar

import httpx

from image_registration.answers import (
    Box,
    Candidate,
    Candidates,
    Comparison,
    Employee,
    Enrolled,
    Face,
    Faces,
    FeatureVectors,
    Json,
    JudgedFace,
    LivenessSession,
    Match,
    Me,
    Page,
    Refused,
    Sample,
    Verification,
)
from image_registration.operators import (
    AuditEntry,
    AuditPage,
    Fpir,
    FpirAtThreshold,
    Imported,
    Measurement,
    Model,
    Part,
    SamePerson,
    SecondModel,
    System,
)

T = TypeVar("T")


def match(response: httpx.Response) -> Match:
    """Return who was let in."""
    found = response.json()
    return _read(Match, found | found["match"])


def verification(response: httpx.Response) -> Verification:
    """Return how the claim was verified. Raises ValueError if it was not."""
    found = response.json()
    if found["verified"] is not True:
        raise ValueError("not verified")
    return _read(Verification, found)


def comparison(response: httpx.Response) -> Comparison:
    """Return how near two faces are."""
    return _read(Comparison, response.json())


def sample(response: httpx.Response) -> Sample:
    """Return a sample."""
    return _sample(response.json())


def nothing(_: httpx.Response) -> None:
    """Return nothing, as there is nothing to read."""


def employee(response: httpx.Response) -> Employee:
    """Return an employee and their version."""
    return _employee(response.json(), response.headers.get("ETag"))


def enrolled(response: httpx.Response) -> Enrolled:
    """Return what an enrolment stored."""
    refused = _all(Refused, response.json()["refused"])
    return Enrolled(employee(response), refused, response.status_code == 201)


def page(response: httpx.Response) -> Page:
    """Return a page of employees."""
    found = response.json()
    people = tuple(_employee(each) for each in found["employees"])
    return _read(Page, found, employees=people)


def candidates(response: httpx.Response) -> Candidates:
    """Return who is nearest."""
    found = response.json()
    near = [each | each["employee"] for each in found["candidates"]]
    face = found["face"] and _face(Face, found["face"])
    return _read(Candidates, found, face=face, candidates=_all(Candidate, near))


def faces(response: httpx.Response) -> Faces:
    """Return the faces of a photo."""
    found = response.json()
    judged = tuple(_face(JudgedFace, each) for each in found["faces"])
    return _read(Faces, found, faces=judged)


def vectors(response: httpx.Response) -> FeatureVectors:
    """Return the vectors of photos, or why there are none."""
    found = response.json()
    vectors = tuple(
        _read(Refused, each, photo=number) if "code" in each else tuple(each["feature_vector"])
        for number, each in enumerate(found["vectors"], start=1)
    )
    return _read(FeatureVectors, found, vectors=vectors)


def session(response: httpx.Response) -> LivenessSession:
    """Return a liveness session."""
    found = response.json()
    return _read(LivenessSession, found, expires_at=_time(found["expires_at"]))


def me(response: httpx.Response) -> Me:
    """Return what the key may do."""
    return _read(Me, response.json())


def audit_page(response: httpx.Response) -> AuditPage:
    """Return a page of the audit log."""
    found = response.json()
    return _read(AuditPage, found, entries=tuple(_entry(each) for each in found["entries"]))


def system(response: httpx.Response) -> System:
    """Return what runs there."""
    found = response.json()
    return _read(
        System,
        found,
        parts={name: _read(Part, part) for name, part in found["parts"].items()},
        model=found["model"] and _read(Model, found["model"]),
        second_model=found["second_model"] and _second_model(found["second_model"]),
        fpir=found["fpir"] and _read(Fpir, found["fpir"]),
    )


def gallery(response: httpx.Response) -> Measurement | None:
    """Return what the gallery says of itself."""
    found = response.json()["measurement"]
    return found and _read(
        Measurement,
        found,
        fpir=found["fpir"] and _read(Fpir, found["fpir"]),
        fpir_by_threshold=_all(FpirAtThreshold, found["fpir_by_threshold"]),
        same_person=_all(SamePerson, found["same_person"]),
    )


def imported(response: httpx.Response) -> tuple[Imported, ...]:
    """Return what became of each person of an export."""
    return _all(Imported, [json.loads(line) for line in response.text.splitlines()])


def _entry(answer: Json) -> AuditEntry:
    """Return an entry of the audit log."""
    named = {name: answer[name] for name in ("action", "outcome")}
    facts = {name: fact for name, fact in answer.items() if name not in (*named, "time")}
    return AuditEntry(datetime.fromisoformat(answer["time"]), **named, facts=facts)


def _read(kind: type[T], answer: Json, **more: object) -> T:
    """Return an answer as `kind`. more: members that are not as in the answer. Raises TypeError."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    known = {name: _frozen(value) for name, value in answer.items() if name in names}
    return kind(**(known | more))


def _second_model(answer: Json) -> SecondModel:
    """Return the model to which the company changes."""
    until = answer["until"]
    return _read(SecondModel, answer, until=until and date.fromisoformat(until))


def _sample(answer: Json) -> Sample:
    """Return a sample."""
    return _read(Sample, answer, enrolled_at=_time(answer["enrolled_at"]))


def _employee(answer: Json, etag: str | None = None) -> Employee:
    """Return an employee."""
    return _read(
        Employee,
        answer,
        enrolled_at=_time(answer["enrolled_at"]),
        updated_at=_time(answer["updated_at"]),
        samples=tuple(_sample(sample) for sample in answer["samples"]),
        etag=etag,
    )


def _face(kind: type[T], answer: Json) -> T:
    """Return a face."""
    landmarks = {name: tuple(point) for name, point in answer["landmarks"].items()}
    return _read(kind, answer, box=_read(Box, answer["box"]), landmarks=landmarks)


def _all(kind: type[T], answers: Sequence[Json]) -> tuple[T, ...]:
    """Return each answer as `kind`."""
    return tuple(_read(kind, answer) for answer in answers)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _time(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
